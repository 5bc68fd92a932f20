"""Draw curves and bars as inline SVG: colors follow the page, light or dark, and a pointer shows the values. Names of
runs are not drawn; the page has its own legend (`key`)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from equicoherence.reporting.markup import Markup, element, join
from equicoherence.reporting.tables import MISSING, number

T = TypeVar("T")

TONES = 7  # colors of names in style.css, .t0 to .t6
DASHES = ((), (6, 3), (2, 2))
QUIET_DASHES = ((6, 3), (2, 2), (9, 3, 2, 3))
CONTROLS: dict[str, tuple[float, ...]] = {"random": (), "constant": (2, 2)}
DEGREES = "degrees"  # an axis whose ticks are right angles
POINTS = 400  # drawn for one line; a screen shows no more
LOWEST = -0.5  # an R2 below this is cut off and its bar marked
CHARACTER = 5.6  # width of one in the letters of a plot, about


@dataclass(frozen=True)
class Curve:
    """One run's curve: steps and values (N,), and the index of its name among the colors. name: what it is called."""

    steps: np.ndarray
    values: np.ndarray
    index: int
    name: str = ""


@dataclass(frozen=True)
class ScoreCurve:
    """Scores of one encoder along an axis, in its order: places, means, smallest and largest (N,).

    index: of its name among the colors; where ``control``, among those of random weights, which share one. name: what
    it is called.
    """

    at: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    index: int
    control: bool = False
    name: str = ""


@dataclass(frozen=True)
class Bar:
    """One score: mean with the ends of its whisker, the floors {control: value} that go with it, and what it is."""

    mean: float
    low: float
    high: float
    controls: dict[str, float] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Frame:
    """Where a plot lies in its picture, in its units, and which numbers it spans: x and y are (begin, end)."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 360
    height: float = 210
    left: float = 44
    right: float = 12
    top: float = 12
    bottom: float = 36
    logarithmic: bool = False

    def across(self, value: float) -> float:
        """Return where a number of the x axis is."""
        begin, end = self.x
        return self.left + (value - begin) / (end - begin) * (self.width - self.left - self.right)

    def down(self, value: float) -> float:
        """Return where a number of the y axis is."""
        begin, end, value = (math.log10(v) if self.logarithmic else v for v in (*self.y, value))
        return self.height - self.bottom - (value - begin) / (end - begin) * (self.height - self.top - self.bottom)


def key(index: int) -> Markup:
    """Return a small color patch for the legend."""
    return _key(f"tone t{index % TONES}", _cycle(DASHES, index, TONES), 6)


def control_key(control: str) -> Markup:
    """Return the mark of a floor for the legend, in the color of the text."""
    return _key("floor", CONTROLS[control], 2.5)


def random_key(index: int) -> Markup:
    """Return the mark of random weights in `score_curves` for the legend, in the color of the text."""
    return _key("floor", _cycle(QUIET_DASHES, index, 1), 2.5)


def curves(lines: Sequence[Curve], label: str, logarithmic: bool = False) -> Markup:
    """Draw one metric over training steps for several runs; non-finite values are crosses on the lower edge.

    label: what the plot shows, for those who do not see it. logarithmic: use a logarithmic axis where all values are
    positive and span more than a factor of 50.
    """
    every = np.concatenate([line.values for line in lines])
    finite, steps = every[np.isfinite(every)], np.concatenate([line.steps for line in lines])
    logarithmic = logarithmic and _spans_magnitudes(finite)
    frame = Frame(_span(steps), _span(finite, logarithmic), logarithmic=logarithmic)
    parts: list[object] = [_axes(frame, "step")]
    read = []
    for line in lines:
        tone, dash = f"tone t{line.index % TONES}", _dashed(_cycle(DASHES, line.index, TONES))
        xs, ys = thin(line.steps, line.values)
        parts.append(element("path", d=_drawn(frame, xs, ys), class_=tone, stroke_dasharray=dash))
        if len(ys) == 1 and np.isfinite(ys[0]):
            parts.append(_dot(frame, xs[0], ys[0], tone))
        edge = frame.height - frame.bottom - 4
        crosses = [
            f"M{frame.across(x) - 3:.1f} {edge - 3:.1f}l6 6m0 -6l-6 6" for x in line.steps[~np.isfinite(line.values)]
        ]
        parts.append(element("path", d="".join(crosses[:POINTS]), class_=f"{tone} broken") if crosses else "")
        read.append((line.name, xs, ys))
    return _picture(frame, label, parts, read)


def score_curves(lines: Sequence[ScoreCurve], axis: str, label: str, floor: float | None = None) -> Markup:
    """Draw one score of several encoders along an axis, with bands from smallest to largest.

    axis: what the places are. label: what the plot shows. floor: the score of a constant, drawn where it is in sight.
    """
    places = np.array([at for line in lines for at in line.at], dtype=np.float64)
    ends = [end for line in lines for ends in (line.lows, line.highs, line.means) for end in ends]
    low, high = _span(np.array(ends, dtype=np.float64))
    if floor is not None and low - 0.5 * (high - low) < floor < high + 0.5 * (high - low):
        low, high = _span(np.array([*ends, floor], dtype=np.float64))  # one far off must not flatten the curves
    frame = Frame(_span(places, margin=0.02), (low, high))
    parts, read = [_axes(frame, axis, DEGREES if axis == DEGREES else "")], []
    if floor is not None and low <= floor <= high:
        parts.append(_across(frame, floor, "constant"))
    for line in lines:
        tone = "floor" if line.control else f"tone t{line.index % TONES}"
        dash = _dashed(_cycle(QUIET_DASHES, line.index, 1) if line.control else _cycle(DASHES, line.index, TONES))
        at = np.array(line.at, dtype=np.float64)
        if list(line.lows) != list(line.highs):
            there, back = _drawn(frame, at, np.array(line.highs)), _drawn(frame, at[::-1], np.array(line.lows[::-1]))
            parts.append(element("path", d=f"{there}L{back[1:]}Z", class_=f"{tone} band"))
        parts.append(element("path", d=_drawn(frame, at, np.array(line.means)), class_=tone, stroke_dasharray=dash))
        parts += [] if line.control else [_dot(frame, x, y, tone) for x, y in zip(line.at, line.means)]
        read.append((line.name, at, np.array(line.means)))
    return _picture(frame, label, parts, read)


def bars(
    categories: Sequence[str],
    series: Sequence[Sequence[Bar | None]],
    label: str,
    lowest: float = 0.0,
    axis: str = "R²",
    width: float = 240,
) -> Markup:
    """Draw scores as grouped bars with whiskers, and a mark across each bar for its floors.

    categories: groups on the x axis. series: for each name, one `Bar` for each category, None if there is none.
    label: what the plot shows. lowest: lower end of the axis, at least `LOWEST`, so that several charts share one axis.
    axis: what the heights are. width: of the plot at the least, in its units.
    """
    bottom = max(lowest, LOWEST)
    longest = max(map(len, categories))
    room = max(34.0, 15.0 * len(series) + 14, (width - 60) / len(categories))
    tilted = longest * CHARACTER > room - 4
    depth = 22 + (min(longest, 26) * CHARACTER * 0.55 if tilted else 4)
    left = 44 + (min(longest, 26) * CHARACTER * 0.4 if tilted else 0)
    span = bottom - (0.06 if bottom < 0 else 0.0), 1.05
    width = left + 12 + room * len(categories)
    frame = Frame((0, len(categories)), span, width=width, height=196 + depth, left=left, top=18, bottom=depth)
    parts = [_lines_across(frame), element("text", axis, x=2, y=frame.top - 2, class_="unit")]
    step = (frame.across(1) - frame.across(0)) / (len(series) + 0.8)
    for index, scores in enumerate(series):
        for place, bar in enumerate(scores):
            parts.append(_bar(frame, frame.across(place) + step * (0.4 + index), step * 0.88, index, bar))
    parts.append(element("line", x1=frame.left, x2=frame.width - frame.right, y1=frame.down(0), y2=frame.down(0),
                         class_="axis"))  # fmt: skip
    for place, title in enumerate(categories):
        x, y = frame.across(place + 0.5), frame.height - frame.bottom + 14
        turn = {"transform": f"rotate(-32 {x:.1f} {y:.1f})", "text_anchor": "end"} if tilted else {}
        short = title if len(title) <= 26 else title[:25] + "…"
        parts.append(element("text", short, x=f"{x:.1f}", y=f"{y:.1f}", **({"text_anchor": "middle"} | turn)))
    return _picture(frame, label, parts, [])


def thin(steps: np.ndarray, values: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most ``points`` of a long curve: the smallest and the largest of each stretch, so no spike is lost."""
    if len(values) <= points:
        return steps, values
    kept = []
    for part in np.array_split(np.arange(len(values)), points // 2):
        finite = part[np.isfinite(values[part])]
        if len(finite):
            kept += sorted({finite[values[finite].argmin()], finite[values[finite].argmax()]})
        else:
            kept.append(part[0])
    return steps[kept], values[kept]


def ticks(begin: float, end: float, most: int = 5) -> list[float]:
    """Return round numbers in [begin, end], at most ``most`` + 1: multiples of 1, 2 or 5 times a power of ten."""
    rough = (end - begin) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(begin / step - 1e-9), math.floor(end / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _bar(frame: Frame, x: float, width: float, index: int, bar: Bar | None) -> Markup:
    if bar is None:
        return element("text", MISSING, x=f"{x + width / 2:.1f}", y=f"{frame.down(0) - 2:.1f}", text_anchor="middle")
    shown = min(max(bar.mean, LOWEST), 1.05)
    top, base, middle = frame.down(max(shown, 0)), frame.down(min(shown, 0)), x + width / 2
    tone = f"t{index % TONES}"
    parts = [element("rect", x=f"{x:.1f}", y=f"{top:.1f}", width=f"{width:.1f}", height=f"{base - top:.1f}",
                     class_=f"tone {tone} fill{' pale' if index >= TONES else ''}")]  # fmt: skip
    if bar.high > bar.low:
        low, high = (frame.down(min(max(end, LOWEST), 1.05)) for end in (bar.low, bar.high))
        reach = width / 6
        ends = "".join(f"M{middle - reach:.1f} {end:.1f}h{2 * reach:.1f}" for end in (low, high))
        parts.append(element("path", d=f"M{middle:.1f} {low:.1f}V{high:.1f}{ends}", class_="whisker"))
    for control, value in bar.controls.items():
        y = frame.down(min(max(value, LOWEST), 1.05))
        line = {"x1": f"{x - 2:.1f}", "x2": f"{x + width + 2:.1f}", "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        parts.append(element("line", **line, class_="halo"))
        parts.append(element("line", **line, class_="floor", stroke_dasharray=_dashed(CONTROLS[control])))
    if bar.mean < LOWEST:
        parts.append(element("text", "▼", x=f"{middle:.1f}", y=f"{frame.down(LOWEST) + 4:.1f}", text_anchor="middle"))
    return element("g", *parts, class_="bar", tabindex="0", data_tip=bar.text or number(bar.mean), aria_label=bar.text)


def _axes(frame: Frame, title: str, unit: str = "") -> Markup:
    """Return grid, ticks and the title of the x axis."""
    parts = [_lines_across(frame)]
    begin, end = frame.x
    places = [90.0 * k for k in range(math.ceil(begin / 90), math.floor(end / 90) + 1)] if unit == DEGREES else []
    for value in places if len(places) > 1 else ticks(begin, end):
        x = f"{frame.across(value):.1f}"
        parts.append(element("text", _short(value), x=x, y=frame.height - frame.bottom + 14, text_anchor="middle"))
    middle = (frame.left + frame.width - frame.right) / 2
    parts.append(element("text", title, x=middle, y=frame.height - 5, text_anchor="middle", class_="title"))
    return join(parts)


def _lines_across(frame: Frame) -> Markup:
    begin, end = frame.y
    if frame.logarithmic:
        first, last = math.ceil(math.log10(begin) - 1e-9), math.floor(math.log10(end) + 1e-9)
        values = [10.0**k for k in range(first, last + 1)] or [begin, end]
    else:
        values = ticks(begin, end)
    parts = []
    for value in values:
        y = f"{frame.down(value):.1f}"
        parts.append(element("line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", _short(value), x=frame.left - 5, y=f"{frame.down(value) + 3.5:.1f}",
                             text_anchor="end"))  # fmt: skip
    return join(parts)


def _across(frame: Frame, value: float, control: str) -> Markup:
    y = f"{frame.down(value):.1f}"
    dash = _dashed(CONTROLS[control])
    return element(
        "line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="floor", stroke_dasharray=dash
    )


def _picture(
    frame: Frame, label: str, parts: Sequence[object], read: Sequence[tuple[str, np.ndarray, np.ndarray]]
) -> Markup:
    """Return the plot with what a pointer reads of it. read: name, places and values of each line."""
    lines = [{"name": name, "x": _numbers(xs), "y": _numbers(ys)} for name, xs, ys in read]
    where = [frame.left, frame.width - frame.right, *frame.x, frame.width]
    more = {"data_lines": json.dumps(lines, separators=(",", ":")), "data_frame": json.dumps(where)} if lines else {}
    box = f"0 0 {frame.width:.0f} {frame.height:.0f}"
    return element("svg", *parts, class_="plot", viewBox=box, role="img", aria_label=label, **more)


def _drawn(frame: Frame, xs: np.ndarray, ys: np.ndarray) -> str:
    """Return a line through the points, broken where a value is not finite."""
    written, pen = [], "M"
    for x, y in zip(xs, ys):
        if not math.isfinite(y):
            pen = "M"
            continue
        written.append(f"{pen}{frame.across(x):.1f} {frame.down(y):.1f}")
        pen = "L"
    return "".join(written)


def _dot(frame: Frame, x: float, y: float, tone: str) -> Markup:
    return element("circle", cx=f"{frame.across(x):.1f}", cy=f"{frame.down(y):.1f}", r="2.6", class_=f"{tone} dot")


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]


def _span(values: np.ndarray, logarithmic: bool = False, margin: float = 0.04) -> tuple[float, float]:
    """Return the ends of an axis that shows all values, never one point alone."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.1, high * 1.1
    wide = high - low or abs(high) or 1.0
    return low - margin * wide, high + margin * wide


def _spans_magnitudes(finite: np.ndarray) -> bool:
    return bool(len(finite)) and bool(finite.min() > 0 and finite.max() > 50 * finite.min())


def _short(value: float) -> str:
    text = f"{value:g}" if abs(value) < 1e4 else f"{value / 1000:g}k"
    return text.replace("-", "\N{MINUS SIGN}")


def _dashed(dash: Sequence[float]) -> str | None:
    return " ".join(map(str, dash)) or None


def _key(kind: str, dash: Sequence[float], width: float) -> Markup:
    line = element("line", x1="1", y1="5", x2="25", y2="5", class_=kind, stroke_dasharray=_dashed(dash),
                   style=f"stroke-width:{width}")  # fmt: skip
    return element("svg", line, class_="key", width="26", height="10", aria_hidden="true")


def _cycle(options: Sequence[T], index: int, stride: int) -> T:
    return options[index // stride % len(options)]
