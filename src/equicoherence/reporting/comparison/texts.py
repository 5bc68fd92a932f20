"""What the tables of a comparison say, as people write and as the page shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from equicoherence.reporting.comparison.lines import Group, Line
from equicoherence.reporting.names import metric_name, source_name
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, floor_cell, with_deviation

CONSTANT = "constant"
TITLE = "Comparison"
COMPARISON_GUIDE = (
    "Each encoder is scored on each task by the same protocol. An arrow says whether a metric is better when "
    "higher (↑) or lower (↓). Encoders of one name and configuration are seeds of one recipe: their mean, ± the sample "
    "standard deviation between them. “Random weights” is the same architecture before any training, “constant” a "
    "prediction that looks at no image: what an encoder has learnt is what it scores beyond both. The best mean of a "
    "row, random weights included, is bold, however small the difference, and so is each that is printed alike; none "
    f"is where the best does not beat the constant or all are printed alike. A dash ({MISSING}) means: not measured."
)


def lines_grid(
    lines: Sequence[Line], groups: Sequence[Group], shown: Sequence[str], place: dict[str, Callable[[Score], object]]
) -> Grid:
    """Return scores as a table: what they are of, what is read where that is said, each column, and the constant.

    place: title -> what stands in that column of a score.
    """
    if any(line.about.representation or line.about.probe for line in lines):
        place = {**place, "reads": lambda entry: source_name(entry.representation, entry.probe)}
    rows = [[*(say(line.about) for say in place.values()), *_cells(line, groups, shown)] for line in lines]
    return Grid([*place, *_titles(groups, shown), CONSTANT], rows)


def arrowed(entry: Score) -> str:
    """Return a metric's name, of which target, and whether it is better when higher or lower, on one line."""
    border = f"({entry.border})" if entry.border else ""
    words = metric_name(entry.metric), entry.target, border, "↑" if entry.higher else "↓"
    return " ".join(word for word in words if word).replace(" ", "\N{NO-BREAK SPACE}")


def _cells(line: Line, groups: Sequence[Group], shown: Sequence[str]) -> list[Cell]:
    """Return what stands in each column of a line, and in that of the constant prediction."""
    best, seeds = line.best(), {each.label: each.seeds for each in groups}
    cells: list[Cell] = []
    for column in shown:
        entry = line.entries.get(column)
        if entry is None:
            cells.append(Cell(MISSING, NUMBER))
            continue
        text = with_deviation(entry.mean, entry.spread_of_runs, entry.metric)
        text += f" ({entry.runs} of {seeds[column]})" if entry.runs < seeds.get(column, 0) else ""
        cells.append(Cell(text, NUMBER, best=column in best))
    return [*cells, floor_cell(line.floors, line.about.metric)]


def _titles(groups: Sequence[Group], shown: Sequence[str]) -> list[str]:
    """Return the titles of columns, with their seeds."""
    seeds = {each.label: each.seeds for each in groups}
    many = {column: f" ({seeds[column]}\N{NO-BREAK SPACE}seeds)" for column in shown if seeds.get(column, 1) > 1}
    return [column + many.get(column, "") for column in shown]
