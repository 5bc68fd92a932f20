"""The cells and titles of the tables of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.comparison.lines import Group, Line
from equicoherence.reporting.markup import Markup
from equicoherence.reporting.names import metric_name, source_name, target_name
from equicoherence.reporting.noise_limit import NEAR_ZERO, with_warning
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, floor_cell, with_deviation

Place = dict[str, Callable[[Score], str]]
"""What a table calls it -> where a score is from."""
CONSTANT = "constant"
ARROWS = {True: "↑", False: "↓", None: ""}
TITLE = "Comparison"  # of several encoders
BEST_GUIDE = (
    "An arrow says whether higher (↑) or lower (↓) is better. “Random weights” is the same architecture before "
    "training; “constant” is a prediction that looks at no image. What an encoder has learnt is its score beyond both. "
    "The best mean of a row is bold, however small the difference; so is every mean that is printed the same. Random "
    "weights are included. Nothing is bold where the best is no better than the constant, or where all are printed the "
    "same."
)
COMPARISON_GUIDE = (
    "All encoders are evaluated by the same protocol. Encoders of one name and configuration are seeds of one recipe: "
    f"the table has their mean, ± their sample standard deviation. {BEST_GUIDE} "
    f"A dash ({MISSING}) means: not measured."
)
NOISE_GUIDE = (
    f"R2 on noise should be {NEAR_ZERO}; neither higher nor lower is better. Where it is marked (!), do not trust the "
    "scores of that transformation."
)


def guide_of(guide: str, lines: Sequence[Line]) -> str:
    """Return a guide to the tables of these scores, with `NOISE_GUIDE` where some are R2 on noise."""
    return f"{guide} {NOISE_GUIDE}" if any(line.about.metric == NOISE for line in lines) else guide


def title_of(groups: Sequence[Group]) -> str:
    """Return the title of a comparison: the name of a single encoder."""
    return TITLE if len(groups) > 1 else groups[0].label


def lines_grid(lines: Sequence[Line], seeds: Mapping[str, int], shown: Sequence[str], place: Place) -> Grid:
    """Return scores as a table: their place, their representation if there is one, each column, and the constant.

    seeds: column -> how many encoders it has. place: title -> content of that column for a score.
    """
    place = _with_what_is_read(place, lines)
    rows = [[*(say(line.about) for say in place.values()), *_cells(line, seeds, shown)] for line in lines]
    return Grid([*place, *_titles(seeds, shown), CONSTANT], rows)


def page_table(
    lines: Sequence[Line],
    seeds: Mapping[str, int],
    shown: Sequence[str],
    caption: str,
    heads: Callable[[Score], str],
    place: Place,
) -> Markup:
    """Return scores as a table of a page, of which a narrow screen shows the first scores.

    seeds: column -> how many encoders it has. shown: the columns. heads: the heading of a row, without its border.
    place: title -> where a score is from, small below the heading; what is the same for all rows is in the caption
        instead. So is a border that is the same for all rows that have one.
    """
    place = {**_with_what_is_read(place, lines), "border": _border}
    said = {title: dict.fromkeys(say(line.about) for line in lines) for title, say in place.items()}
    said["border"] = dict.fromkeys(text for text in said["border"] if text)
    same = [next(iter(texts)) for texts in said.values() if len(texts) == 1]
    varied = [say for title, say in place.items() if len(said[title]) > 1]
    rows: list[list[Cell]] = []
    for line in lines:
        remark = " · ".join(text for say in varied if (text := say(line.about)))
        rows.append([Cell(heads(line.about), remark=remark), *_cells(line, seeds, shown)])
    caption = ", ".join([caption, *(text for text in same if text)])
    return Grid(["score", *_titles(seeds, shown), CONSTANT], rows).html(caption)


def _with_what_is_read(place: Place, lines: Sequence[Line]) -> Place:
    """Return the place of scores with the features and the probe, where some scores have one."""
    if not any(line.about.representation or line.about.probe for line in lines):
        return place
    return {**place, "reads": lambda entry: source_name(entry.representation, entry.probe)}


def score_name(entry: Score, border: str = "") -> str:
    """Return the target and the name of a metric, its border, and which way is better, if one is."""
    words = target_name(entry.target), metric_name(entry.metric), border, ARROWS[entry.higher]
    return " ".join(word for word in words if word)


def arrowed(entry: Score) -> str:
    """Return `score_name` with the border, on one line."""
    return score_name(entry, f"({entry.border})" if entry.border else "").replace(" ", "\N{NO-BREAK SPACE}")


def _border(entry: Score) -> str:
    return f"border {entry.border}" if entry.border else ""


def _cells(line: Line, seeds: Mapping[str, int], shown: Sequence[str]) -> list[Cell]:
    """Return the cells of a line, and that of the constant prediction."""
    best = line.best()
    cells: list[Cell] = []
    for column in shown:
        entry = line.entries.get(column)
        if entry is None:
            cells.append(Cell(MISSING, NUMBER))
            continue
        text = with_deviation(entry.mean, entry.spread_of_runs, entry.metric)
        text = with_warning(text, entry)
        text += f" ({entry.runs} of {seeds[column]})" if entry.runs < seeds.get(column, 0) else ""
        cells.append(Cell(text, NUMBER, best=column in best))
    return [*cells, floor_cell(line.floors, line.about.metric)]


def _titles(seeds: Mapping[str, int], shown: Sequence[str]) -> list[str]:
    """Return the titles of columns, with their seeds."""
    many = {column: f" ({seeds[column]}\N{NO-BREAK SPACE}seeds)" for column in shown if seeds.get(column, 1) > 1}
    return [column + many.get(column, "") for column in shown]
