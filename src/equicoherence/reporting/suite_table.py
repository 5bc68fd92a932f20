"""The table of a suite: encoders by scores, with random weights, a constant and the best layer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equicoherence.errors import refusing
from equicoherence.evaluation.layers import BEST
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.suites import Figure, Suite
from equicoherence.files import write_aside
from equicoherence.reporting.comparison.evaluated import Evaluated, read_evaluated
from equicoherence.reporting.comparison.lines import RANDOM, Group, group, members
from equicoherence.reporting.comparison.texts import CONSTANT
from equicoherence.reporting.noise_limit import NEAR_ZERO, with_warning
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.suite_check import check_alike, check_whole
from equicoherence.reporting.summary import Score, joint_floors, select, summarise
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, floor_cell, number, plain, with_deviation

if TYPE_CHECKING:
    from rich.table import Table

SIDE_BY_SIDE, TITLE = 4, 12  # encoders whose columns fit into 100 letters of a terminal, and letters of their titles


@dataclass(frozen=True)
class SuiteRow:
    """A row of the table. kind: "" for an encoder, else "best layer" or random weights. scores: one per column."""

    name: str
    kind: str
    scores: Sequence[Score | None]


def read_suite(suite: Suite, folders: Sequence[Path], *, whole: bool = False, data: str | None = None) -> list[Group]:
    """Return encoders' scores, read and checked.

    folders: each with a ``scores.json`` that `equicoherence evaluate --suite` wrote, here or elsewhere.
    whole, data: see `suite_groups`.

    Raises ValueError as `suite_groups`, and, naming the file, where one is damaged; FileNotFoundError where there is
    none.
    """
    with refusing():
        if not folders:
            raise ValueError("a suite's table needs folders with scores; `equicoherence evaluate --suite` makes them")
        paths = {folder.resolve(): folder for folder in folders}.values()
        return suite_groups(suite, [read_evaluated(path) for path in paths], whole=whole, data=data)


def suite_groups(
    suite: Suite, evaluated: Sequence[Evaluated], *, whole: bool = False, data: str | None = None
) -> list[Group]:
    """Return encoders' scores, checked.

    whole: whether every figure must be there (`check_whole`), as in a table that others add to; else what the images or
        an encoder do not allow may be missing.
    data: which data set's scores to take of each encoder; None where each has those of one.

    Raises ValueError, naming the file, for scores that do not pass `check_alike`.
    """
    with refusing():
        if data is not None:
            evaluated = [_on_data(each, data) for each in evaluated]
        check_alike(suite, evaluated)
        if whole:
            check_whole(suite, evaluated)
        return group(evaluated)


def write_suite(suite: Suite, groups: Sequence[Group], out: Path) -> Path:
    """Write ``out/SUITE.md`` and ``out/SUITE.csv`` on scores of `read_suite`; return the page."""
    rows = list(suite_rows(suite, groups))
    out.mkdir(parents=True, exist_ok=True)
    page = out / f"{suite.name}.md"
    for file, text in ((page.with_suffix(".csv"), suite_csv(suite, rows)), (page, suite_markdown(suite, rows, groups))):
        write_aside(file, text.encode("utf-8", errors="replace"))  # names may hold what UTF-8 cannot say
    return page


def suite_tables(suite: Suite, groups: Sequence[Group]) -> list[Table]:
    """Return the tables for a terminal: a row for each score, as many encoders per table as fit.

    For a single encoder, its best layer and random weights have columns too; for several, they are only on the page.
    """
    rows = [row for row in suite_rows(suite, groups) if len(groups) == 1 or not row.kind]
    if len(groups) == 1:
        rows = [replace(row, name=row.kind or row.name, kind="") for row in rows]
    whole = suite_grid(suite, rows, intervals=False)
    columns = list(zip(*whole.cells))
    *names, constant = columns[0]
    found = []
    for start in range(0, len(names), SIDE_BY_SIDE):
        places = [*range(start, min(start + SIDE_BY_SIDE, len(names))), len(names)]
        body = [[title, *(column[place] for place in places)] for title, column in zip(whole.header[1:], columns[1:])]
        table = Grid(["score", *([*names, constant][place].content for place in places)], body).rich()
        for column in table.columns[1:]:
            column.max_width = TITLE
        found.append(table)
    return found


def suite_rows(suite: Suite, groups: Sequence[Group]) -> Iterator[SuiteRow]:
    """Yield the rows of each encoder: its own, its best layer, and, once for an architecture, its random weights."""
    entries = summarise({each.label: [member.rows for member in each.members] for each in groups})
    controlled: set[tuple[Any, ...]] = set()
    for each in groups:
        own = [entry for entry in entries if entry.name == each.label]
        yield SuiteRow(each.label, "", [_of_figure(own, figure, suite.representation) for figure in suite.figures])
        best = [_of_figure(select(own, task=Layers.name), figure, BEST) for figure in suite.figures]
        if any(best):
            yield SuiteRow(each.label, BEST, best)
        random = [_of_figure(own, figure, suite.representation, control="random") for figure in suite.figures]
        kind = (each.arch, each.build, each.size)
        if any(random) and kind not in controlled:
            controlled.add(kind)
            yield SuiteRow(each.label, RANDOM, random)


def suite_grid(suite: Suite, rows: Sequence[SuiteRow], *, intervals: bool = True) -> Grid:
    """Return the table: means over probe seeds with deviation and interval; last, what a constant scores."""
    body: list[list[object]] = []
    for row in rows:
        name = f"{row.name}, {row.kind}" if row.kind else row.name
        body.append([name, *(_cell(score, intervals) for score in row.scores)])
    columns = zip(suite.figures, zip(*(row.scores for row in rows)))
    floors = [floor_cell(joint_floors(filter(None, scores)), figure.metric) for figure, scores in columns]
    return Grid(["encoder", *(figure.title for figure in suite.figures)], [*body, [CONSTANT, *floors]])


def suite_csv(suite: Suite, rows: Sequence[SuiteRow]) -> str:
    """Return one line for each row and score, with spread and interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["encoder", "kind", "task", "target", "metric", "mean", "std", "n", "over", "low", "high", "constant"]
    )
    for row in rows:
        for figure, score in zip(suite.figures, row.scores):
            if score is not None:
                low, high = score.interval or (None, None)
                floor = None if score.floors is None else score.floors[0]
                place = [row.name, row.kind, score.task, figure.target, figure.metric]
                writer.writerow([*place, score.mean, score.std, score.n, score.over, low, high, floor])
    return text.getvalue()


def suite_markdown(suite: Suite, rows: Sequence[SuiteRow], groups: Sequence[Group]) -> str:
    """Return the page: what was measured, the table, and who measured it when."""
    return (
        f"# Suite {suite.name} on {plain(members(groups)[0].parts[0]['data'])}\n\n"
        f"{measured_on(groups)}\n\n"
        "R2: a probe predicts the parameters of a transformation from the frozen features of an image and of its "
        "transformed copy. Rotation and translation have three scores: R2 of the signed value, R2 of the absolute "
        "value, and the accuracy of the sign (chance .5). Translation is the mean over x and y. R2 on noise: the same "
        f"probe on images without content. It should be {NEAR_ZERO}. Where it is not, it is marked (!): do not trust "
        "the scores of that transformation in that row. Above 0 the probe reads artifacts of the rendering; below 0 it "
        "is overfitted. rot4: classification of four rotations. Means over probe seeds, ± their standard deviation; in "
        "brackets the 95 % "
        "bootstrap interval over test images. A row "
        f"`{BEST}` is the same encoder at the layer, of at most six at equal distances, that is best for each score "
        "with one probe seed; it is chosen on the same test images. "
        "How each score is measured: `equicoherence tasks NAME`. How to make this table: "
        f"`equicoherence evaluate MODEL... --suite {suite.name} --data DIR`, or from folders of scores "
        f"`equicoherence suite {suite.name} FOLDER...`.\n\n"
        f"{suite_grid(suite, rows).markdown()}\n"
    )


def measured_on(groups: Sequence[Group]) -> str:
    """Return who measured a table when, on which images, at which sizes of input."""
    evaluated = members(groups)
    images = evaluated[0].parts[0]["settings"].get("splits", {})
    splits = " and ".join(f"{split} {text.split(',')[0]}" for split, text in images.items())
    sizes = ", ".join(dict.fromkeys(f"{each.label}: {each.size} px" for each in groups))
    origin = origin_line([each.about for each in evaluated])
    return f"{plain(origin)}. Images: {plain(splits)}. Input: {plain(sizes)}."


def _of_figure(entries: Sequence[Score], figure: Figure, representation: str, control: str = "") -> Score | None:
    """Return the score of a figure, None if there is none."""
    asked: Mapping[str, str] = {"target": figure.target, "metric": figure.metric, "parameter": "", "control": control}
    found = select(entries, representation=representation, **asked)
    if representation != BEST:
        found = select(found, task=figure.task)
    elif figure.task not in ("transformation", "knn"):
        return None
    return found[0] if found else None


def _on_data(each: Evaluated, data: str) -> Evaluated:
    parts = {name: part for name, part in each.about["parts"].items() if part["data"] == data}
    return replace(each, about={**each.about, "parts": parts})


def _cell(score: Score | None, with_interval: bool) -> Cell:
    if score is None:
        return Cell(MISSING, NUMBER)
    text = with_warning(with_deviation(score.mean, score.std, score.metric), score)
    if with_interval and score.interval is not None:
        low, high = (number(end, score.metric) for end in score.interval)
        text += f" [{low}, {high}]"
    return Cell(text, NUMBER)
