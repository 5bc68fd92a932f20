"use strict";
// All that moves on the page. No library, nothing fetched: pictures and numbers lie in data blocks beside their part.

const all = (root, selector) => [...root.querySelectorAll(selector)];
const number = (value, digits = 3) => value.toFixed(digits).replace("-", "−");

function loaded(address) {
  const picture = new Image();
  picture.src = address;
  return picture.decode().then(() => picture);
}

function dataOf(part) {
  return JSON.parse(part.querySelector('script[type="application/json"]').textContent);
}

// Draw picture `column` of a strip of square pictures into a canvas, pixel by pixel.
function draw(canvas, strip, column, size) {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(strip, column * size, 0, size, size, 0, 0, size, size);
  return context;
}

function picker(box, pictures, label, choose) {
  pictures.forEach((address, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", label + " " + (index + 1));
    button.setAttribute("aria-pressed", String(index === 0));
    const picture = document.createElement("img");
    picture.src = address;
    picture.alt = "";
    button.append(picture);
    button.addEventListener("click", () => {
      all(box, "button").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      choose(index);
    });
    box.append(button);
  });
}

function player(button, range, changed) {
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = "▶"; };
  range.addEventListener("input", () => { stop(); changed(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    button.textContent = "❚❚";
    if (range.value === range.max) range.value = range.min;
    timer = setInterval(() => {
      if (range.value === range.max) return stop();
      range.value = String(Number(range.value) + 1);
      changed();
    }, 350);
  });
}

// ---- One path, step by step -------------------------------------------------------------------------------------

const RAMP = [[0, 0, 0], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 240]];
const WORST = 0.3;

function heat(share) {
  const place = Math.min(1, share / WORST) * (RAMP.length - 1), low = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[low].map((value, i) => value + (place - low) * (RAMP[low + 1][i] - value));
}

function drawError(canvas, one, other, size) {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d"), made = context.createImageData(size, size);
  for (let i = 0; i < made.data.length; i += 4) {
    let sum = 0;
    for (let c = 0; c < 3; c += 1) sum += Math.abs(one[i + c] - other[i + c]);
    made.data.set([...heat(sum / 765), 255], i);
  }
  context.putImageData(made, 0, 0);
}

// The decoded place nearest to where the slider is.
function nearest(stops, times, place) {
  let best = 0;
  stops.forEach((stop, index) => {
    if (Math.abs(times[stop] - times[place]) < Math.abs(times[stops[best]] - times[place]) - 1e-9) best = index;
  });
  return best;
}

function explorer(part) {
  const data = dataOf(part), range = part.querySelector("input[type=range]"), size = data.size;
  const canvases = (name) => all(part, "canvas." + name), rows = all(part, ".theta .number");
  const largest = rows.map((_, p) => Math.max(...data.theta.flat().map((place) => Math.abs(place[p])), 1e-9));
  let sample = 0, turn = 0;

  async function show() {
    const mine = (turn += 1), place = Number(range.value), last = data.times.length - 1, chosen = sample;
    const addresses = [data.v1[chosen], data.states[chosen], ...data.runs.map((run) => run.strips[chosen])];
    const [v1, states, ...decoded] = await Promise.all(addresses.map(loaded));
    if (mine !== turn) return; // the slider has moved on
    const time = (stop) => "t = " + number(data.times[stop], 2);
    part.querySelector(".place").textContent = time(place);
    part.querySelector(".stage > .now .time").textContent = "at " + time(place);
    draw(canvases("v1")[0], v1, 0, size);
    draw(canvases("state")[0], states, place, size);
    draw(canvases("v2")[0], states, last, size);
    const theta = data.theta[chosen], numbers = theta.length > 1 ? theta[place] : theta[0];
    rows.forEach((row, p) => {
      row.querySelector("b").textContent = String(Number(numbers[p].toPrecision(3))).replace("-", "−");
      const bar = row.querySelector(".bar span"), share = (50 * numbers[p]) / largest[p];
      bar.style.left = 50 + Math.min(0, share) + "%";
      bar.style.width = Math.abs(share) + "%";
    });
    data.runs.forEach((run, index) => {
      const near = nearest(run.stops, data.times, place), stop = run.stops[near], here = stop === place;
      const seen = draw(canvases("decoded")[index], decoded[index], near, size).getImageData(0, 0, size, size).data;
      const truth = draw(document.createElement("canvas"), states, stop, size).getImageData(0, 0, size, size).data;
      drawError(canvases("map")[index], seen, truth, size);
      const who = all(part, ".who")[index], figure = canvases("decoded")[index].closest("figure");
      figure.classList.toggle("elsewhere", !here);
      figure.querySelector(".pale").hidden = here;
      figure.querySelector(".time").textContent = "at " + time(stop);
      who.querySelector(".by").textContent =
        [run.by[near] ? "by " + run.by[near] : "", here ? "" : "the nearest place that it decodes"].filter(Boolean).join(", ");
      who.querySelector(".error").textContent =
        "error " + number(run.errors[chosen][near]) + " as decoded, " + number(data.still[chosen][stop]) + " for the nearer end of the path, unchanged";
    });
    part.dataset.shown = chosen + "/" + place;
  }

  picker(part.querySelector(".samples"), data.v1, "image", (index) => { sample = index; show(); });
  player(part.querySelector(".play"), range, show);
  all(part, ".ticks button").forEach((tick) => tick.addEventListener("click", () => {
    range.value = tick.dataset.stop;
    range.dispatchEvent(new Event("input"));
  }));
  show();
}

all(document, "[data-explorer]").forEach(explorer);

// ---- Under a turn ------------------------------------------------------------------------------------------------

function turning(part) {
  const data = dataOf(part), range = part.querySelector("input[type=range]"), upright = data.angles.indexOf(0);
  const buttons = all(part, ".reads button"), views = all(part, ".view");
  let sample = 0, turn = 0, read = buttons.length ? buttons[0].dataset.read : "";

  async function show() {
    const mine = (turn += 1), angle = Number(range.value), chosen = sample;
    const colors = data.runs.map((run) => (run[read] && run[read].colors ? loaded(run[read].colors[chosen]) : null));
    const [shown, bank, ...tokens] = await Promise.all([loaded(data.shown[chosen]), loaded(data.bank), ...colors]);
    if (mine !== turn) return; // the slider has moved on
    part.querySelector(".place").textContent = String(data.angles[angle]).replace("-", "−") + "°";
    part.querySelector(".class").textContent = data.classes[chosen] ? "(" + data.classes[chosen] + ")" : "";
    draw(part.querySelector("canvas.shown"), shown, angle, data.size);
    views.forEach((view, index) => {
      const said = data.runs[index][read];
      view.classList.toggle("none", !said);
      if (!said) return (view.querySelector(".agree").textContent = "has no " + read);
      const near = said.nearest[chosen][angle], before = said.nearest[chosen][upright];
      const patches = view.querySelector(".patches");
      const single = said.tokens === 1; // one color, which is of the whole image
      patches.hidden = !said.colors || single;
      view.querySelector(".single").hidden = !single;
      if (said.colors && !single) draw(patches, tokens[index], angle, said.tokens);
      all(view, ".near").forEach((canvas, k) => {
        const side = data.side, place = near[k];
        canvas.hidden = place === undefined;
        if (canvas.hidden) return;
        canvas.width = canvas.height = side;
        const x = (place % data.columns) * side, y = Math.floor(place / data.columns) * side;
        canvas.getContext("2d").drawImage(bank, x, y, side, side, 0, 0, side, side);
        canvas.title = data.bankClasses[place];
        canvas.classList.toggle("same", before.includes(place));
      });
      const same = near.filter((place) => before.includes(place)).length;
      const right = near.filter((place) => data.bankClasses[place] === data.classes[chosen]).length;
      view.querySelector(".agree").textContent =
        same + " of " + near.length + " as upright" + (data.classes[chosen] ? ", " + right + " of its class" : "");
    });
    part.dataset.shown = chosen + "/" + data.angles[angle] + "/" + read;
  }

  buttons.forEach((button) => button.addEventListener("click", () => {
    read = button.dataset.read;
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    show();
  }));
  Promise.all(data.shown.map(loaded)).then((strips) => {
    const first = strips.map((strip) => {
      const canvas = document.createElement("canvas");
      draw(canvas, strip, upright, data.size);
      return canvas.toDataURL();
    });
    picker(part.querySelector(".samples"), first, "image", (index) => { sample = index; show(); });
    show();
  });
  player(part.querySelector(".play"), range, show);
}

all(document, "[data-turn]").forEach(turning);

// ---- Values of plots --------------------------------------------------------------------------------------------

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

function tell(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(innerWidth - box.width - 4, x + 14)) + "px";
  tip.style.top = Math.max(4, y - box.height - 10) + "px";
}

function hush() { tip.hidden = true; }

all(document, "[data-tip]").forEach((mark) => {
  mark.addEventListener("pointermove", (event) => tell(mark.dataset.tip, event.clientX, event.clientY));
  mark.addEventListener("pointerleave", hush);
  mark.addEventListener("focus", () => {
    const box = mark.getBoundingClientRect();
    tell(mark.dataset.tip, box.right, box.top);
  });
  mark.addEventListener("blur", hush);
});

function readLines(plot) {
  const lines = JSON.parse(plot.dataset.lines), [left, right, begin, end, width] = JSON.parse(plot.dataset.frame);
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", "8");
  cursor.setAttribute("y2", String(plot.viewBox.baseVal.height - 36));
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect(), inside = ((event.clientX - box.left) / box.width) * width;
    const wanted = begin + ((inside - left) / (right - left)) * (end - begin);
    let best = null; // the place of any line that is nearest
    lines.forEach((line) => line.x.forEach((x) => {
      if (best === null || Math.abs(x - wanted) < Math.abs(best - wanted)) best = x;
    }));
    if (best === null) return;
    const texts = lines.map((line) => {
      let near = 0;
      line.x.forEach((x, i) => { if (Math.abs(x - best) < Math.abs(line.x[near] - best)) near = i; });
      const value = line.y[near];
      return (line.name ? line.name + ": " : "") + (value === null ? "not finite" : String(value).replace("-", "−"));
    });
    const place = left + ((best - begin) / (end - begin)) * (right - left);
    cursor.setAttribute("x1", String(place));
    cursor.setAttribute("x2", String(place));
    plot.append(cursor);
    tell(["at " + String(best).replace("-", "−"), ...texts].join("\n"), event.clientX, event.clientY);
  });
  plot.addEventListener("pointerleave", () => { cursor.remove(); hush(); });
}

all(document, "svg[data-lines]").forEach(readLines);

// ---- Tables that sort and filter --------------------------------------------------------------------------------

const FILTERED = 9; // rows from which on a table can be filtered

// What a cell is sorted by: its number where it begins with one, else its text.
function worth(cell) {
  const text = (cell.firstChild ? cell.firstChild.textContent : "").trim().replace(/−/g, "-").replace(/,/g, "");
  const found = text.match(/^-?\d*\.?\d+/);
  return text === "–" ? null : found ? Number(found[0]) : text;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return one.localeCompare(other);
}

function sortable(table) {
  const body = table.tBodies[0], first = [...body.rows], titles = all(table, "thead th");
  if (first.length < 2) return;
  titles.forEach((title, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...title.childNodes);
    title.append(button);
    button.addEventListener("click", () => {
      const now = title.getAttribute("aria-sort");
      titles.forEach((each) => each.removeAttribute("aria-sort"));
      if (now === "ascending") return body.append(...first); // the third click: as it was
      const sign = now === "descending" ? 1 : -1;
      title.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
      const rows = [...first].sort((a, b) => {
        const one = worth(a.cells[column]), other = worth(b.cells[column]);
        if (one === null || other === null) return (one === null) - (other === null); // what is missing comes last
        return sign * compare(one, other);
      });
      body.append(...rows);
    });
  });
  if (first.length < FILTERED) return;
  const box = document.createElement("input");
  box.type = "search";
  box.placeholder = "filter " + first.length + " rows";
  box.setAttribute("aria-label", "Filter the table");
  table.closest(".scroll").before(box);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    first.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
  });
}

all(document, ".scroll table").forEach(sortable);
