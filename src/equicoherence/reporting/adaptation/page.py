"""The table of an adaptation and its page: ``adapt.html`` and ``adapt.md`` in the run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.errors import refusing
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.files import write_aside
from equicoherence.reporting.adaptation.dumbbells import AFTER, BEFORE, LAYER, dumbbells
from equicoherence.reporting.adaptation.facts import Facts, facts_of
from equicoherence.reporting.adaptation.figures import BACKBONE, FigureRow, NoiseRow, figure_rows, noise_row
from equicoherence.reporting.main_figures import NOISY, NOISY_ABSOLUTE
from equicoherence.reporting.markup import Markup, element, image, join, section
from equicoherence.reporting.origin import dates_of, origin_line
from equicoherence.reporting.runs import Run, read_run
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import FLOOR, MISSING, NUMBER, PERCENT, Cell, Grid, number
from equicoherence.reporting.template import fill
from equicoherence.reporting.training import panel
from equicoherence.training.config_file import load_config

PAGE, TABLE = "adapt.html", "adapt.md"
SCORED = "adapt"  # folder of the scores in a run directory
NAMES = {BACKBONE: "adapted"}
RULE = (
    "gained, lost: the adapted encoder has more or less than the original. kept: the change is within 1 point of an "
    "accuracy over classes, or .02 of R2 and of left or right. A question mark: each of the two lies within the 95 % "
    "interval of the other over test images, so more test images could say otherwise."
)
BLIND = (
    "The images have no classes, so nothing here tells whether the encoder still knows them: give labelled images with "
    "--check."
)
SUBJECT = {"rotation": "transformation"}
CONTENTS = {"table": "Gained and kept", "chart": "Chart", "training": "Training", "origin": "How it was measured"}
GUIDE = (
    "An encoder that existed was trained further, so that its features keep what a transformation did to an image. "
    "The table shows it before and after, read in the same way on the same images: R2 of a probe that reads each "
    "transformation from frozen features (1 is perfect, 0 no better than a constant), and how well classes can be "
    "read. The best earlier layer of the original costs nothing, so it is the rival to beat; it was chosen by these "
    f"very images. A dash ({MISSING}) means: not measured."
)


@dataclass(frozen=True)
class Adaptation:
    """What was measured of an encoder before and after.

    name: of the original. run: of its training. rows: of the table. noise: of images without content.
    facts: of the training. scores: content of each ``scores.json``.
    """

    name: str
    run: Run
    rows: Sequence[FigureRow]
    noise: NoiseRow
    facts: Facts
    scores: Sequence[Mapping[str, Any]]

    @property
    def read(self) -> list[str]:
        """What is shown of the adapted encoder, the backbone first."""
        return list(dict.fromkeys(name for row in self.rows for name in row.adapted))

    def grid(self) -> Grid:
        """Return the table."""
        header = ["", "original", "best earlier layer", *(NAMES.get(name, f"adapted, {name}") for name in self.read)]
        rows = [_row(row, self.read) for row in self.rows]
        rows.append(self._noise_row())
        return Grid([*header, "change", "verdict"], rows)

    def _noise_row(self) -> list[object]:
        shown = [MISSING if each is None else number(each.mean) for each in (self.noise.original, self.noise.adapted)]
        output = self.rows[0].output
        adapted = [shown[1] if name == output else MISSING for name in self.read]
        verdict = "near 0" if self.noise.near_zero else "WARNING: not near 0"
        quiet = [Cell(text, FLOOR) for text in (shown[0], MISSING, *adapted, MISSING)]
        return ["noise, farthest R2 from 0", *quiet, verdict]

    def caption(self) -> list[str]:
        """Return what stands below the table: how verdicts are given, what was odd, and what it cost."""
        behind = [row.title for row in self.rows if row.behind_layer]
        said = [RULE]
        if behind:
            said.append(f"An earlier layer of the original still has more of: {'; '.join(behind)}.")
        if not self.noise.near_zero:
            said.append(
                f"R2 on noise, which has no content, is not within {NOISY} of 0 ({NOISY_ABSOLUTE} for an absolute "
                "value): a probe reads traces of the rendering, so figures of turns, shifts and scales are not to be "
                "trusted."
            )
        if not any(row.metric in PERCENT for row in self.rows):
            said.append(BLIND)
        return [*said, *self.facts.words()]


def read_adaptation(run: Path) -> Adaptation:
    """Read what `equicoherence adapt` left in a run directory. Raises FileNotFoundError where scores are missing."""
    found = read_run(run)
    config = load_config(run / "config.yaml")
    own, check = _pair(run, ""), _pair(run, "-check")
    if own is None:
        raise FileNotFoundError(f"{run / SCORED} lacks scores; go on with: equicoherence adapt --resume --out {run}")
    output, read = BACKBONE, (BACKBONE, "z_equi")
    rows = [row for pair in (own, check) if pair is not None for row in figure_rows(*pair, output, read)]
    scores = [each for pair in (own, check) if pair is not None for each in pair]
    facts = facts_of(config, found.metrics)
    return Adaptation(config.encoder.weights, found, rows, noise_row(*own, output), facts, scores)


def write_adaptation(run: Path) -> Path:
    """Write ``adapt.md`` and ``adapt.html`` into a run directory; return the page."""
    with refusing():
        found = read_adaptation(run)
    text = "\n\n".join([f"# {found.name}, before and after", *found.caption(), found.grid().markdown(), _origin(found)])
    write_aside(run / TABLE, f"{text}\n".encode("utf-8", errors="replace"))
    write_aside(run / PAGE, render_adaptation(found).encode("utf-8", errors="replace"))
    return run / PAGE


def render_adaptation(found: Adaptation) -> str:
    """Return the page as HTML."""
    caption = found.caption()
    marked = [row.verdict == "lost" for row in found.rows] + [not found.noise.near_zero]
    table = found.grid().html("Before and after", marked)
    legend = element(
        "ul",
        *(element("li", _key(color), text) for color, text in _legend()),
        class_="legend",
        aria_label="Legend",
    )
    described = "; ".join(
        f"{row.title} {_mean(row.original)} to {_mean(row.adapted.get(row.output))}" for row in found.rows
    )
    picture = image(dumbbells(found.rows), "image/svg+xml", f"Before and after. {described}.")
    chart = element(
        "figure",
        element("figcaption", element("strong", "before and after"), " · lines: 95 % intervals over test images"),
        picture,
        class_="card",
    )
    curves = [panel(key, {found.run.name: [found.run]}) for key in _watched(found.run)]
    body = [
        section("table", CONTENTS["table"], table, *(element("p", line) for line in caption)),
        section("chart", CONTENTS["chart"], legend, chart),
        section("training", CONTENTS["training"], element("div", *curves, class_="grid")),
        section("origin", CONTENTS["origin"], element("p", _origin(found))),
    ]
    dates = dates_of(found.scores)
    return fill(
        f"{Path(found.name).name}, adapted", f"by {found.run.name}, evaluated {dates}", CONTENTS, GUIDE, join(body)
    )


def _pair(run: Path, kind: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the scores before and after on one data set, None where one is missing."""
    before, after = (read_scores(run / SCORED / f"{name}{kind}" / FILE) for name in ("original", "adapted"))
    return (before, after) if before and after else None


def _row(row: FigureRow, read: Sequence[str]) -> list[object]:
    change = MISSING if row.change is None else _signed(row.change, row.metric)
    scores = [row.original, row.layer, *(row.adapted.get(name) for name in read)]
    best = max((score.mean for score in scores if score is not None), default=None)
    cells = [_cell(score, score is not None and score.mean == best) for score in scores]
    cells[1] = Cell(cells[1].content, NUMBER, cells[1].best, row.layer_name)
    return [row.title, *cells, Cell(change, NUMBER), row.told]


def _cell(score: Score | None, best: bool) -> Cell:
    remark = ""
    if score is not None and score.interval is not None:
        remark = " to ".join(number(end, score.metric) for end in score.interval)
    return Cell(_mean(score), NUMBER, best, remark)


def _mean(score: Score | None) -> str:
    return MISSING if score is None else number(score.mean, score.metric)


def _signed(value: float, metric: str) -> str:
    text = number(value, metric)
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _origin(found: Adaptation) -> str:
    return f"{origin_line(found.scores)}."


def _watched(run: Run) -> list[str]:
    """Return the metrics that are drawn: losses, and what was watched of what the encoder knew."""
    shown = ("loss", "reconstruction")
    return [key for key in shown if any(key in line for line in run.metrics)]


def _legend() -> list[tuple[str, str]]:
    return [(BEFORE, "original"), (AFTER, "adapted"), (LAYER, "best earlier layer of the original")]


def _key(color: str) -> Markup:
    return Markup(
        f'<svg class="key" width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" r="5" fill="{color}"/></svg>'
    )
