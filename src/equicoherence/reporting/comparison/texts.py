"""What the tables of a comparison say, as people write and as the page shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from equicoherence.reporting.comparison.lines import Group, Line
from equicoherence.reporting.comparison.names import metric_name
from equicoherence.reporting.comparison.scores import Evaluated, Key, unlike
from equicoherence.reporting.tables import MISSING, deviation, number

Bold = Callable[[str], object]
CONSTANT = "constant"
TITLE = "Downstream comparison"
GUIDE = (
    "Each encoder is scored on each task by the same protocol. An arrow says whether a metric is better when "
    "higher (↑) or lower (↓). Encoders of one name and configuration are seeds of one recipe: their mean, ± the sample "
    "standard deviation between them. “Random weights” is the same architecture before any training, “constant” a "
    "prediction that looks at no image: what an encoder has learnt is what it scores beyond both. The best mean of a "
    "row, random weights included, is bold, however small the difference, and so is each that is printed alike; none "
    f"is where the best does not beat the constant or all are printed alike. A dash ({MISSING}) means: not measured."
)


def texts(line: Line, groups: Sequence[Group], shown: Sequence[str], bold: Bold) -> list[object]:
    """Return what stands in each column of a line, and in that of the constant prediction."""
    best, seeds = line.best(), {each.label: each.seeds for each in groups}
    found: list[object] = []
    for column in shown:
        entry = line.entries.get(column)
        if entry is None:
            found.append(MISSING)
            continue
        text = number(entry.mean, line.key.measure)
        text += f" ±{deviation(entry.std, line.key.measure)}" if entry.std is not None else ""
        text += f" ({entry.n} of {seeds[column]})" if entry.n < seeds.get(column, 0) else ""
        found.append(bold(text) if column in best else text)
    floors = dict.fromkeys(number(value, line.key.measure) for value in line.floors or ())
    return [*found, " to ".join(floors) or MISSING]


def arrowed(key: Key) -> str:
    """Return a metric's name and whether it is better when higher or lower, on one line."""
    return f"{metric_name(key.metric)} {'↑' if key.higher else '↓'}".replace(" ", "\N{NO-BREAK SPACE}")


def titles(groups: Sequence[Group], shown: Sequence[str]) -> list[str]:
    """Return the titles of columns, with their seeds, and of the constant prediction."""
    seeds = {each.label: each.seeds for each in groups}
    many = {column: f" ({seeds[column]}\N{NO-BREAK SPACE}seeds)" for column in shown if seeds.get(column, 1) > 1}
    return [*(column + many.get(column, "") for column in shown), CONSTANT]


def remarks(evaluated: Sequence[Evaluated]) -> list[str]:
    """Return what was not taken alike, and what was left out."""
    return [*unlike(evaluated), *(remark for each in evaluated for remark in each.remarks)]


def counted(groups: Sequence[Group]) -> str:
    """Return how many encoders there are, and of how many recipes."""
    count = sum(each.seeds for each in groups)
    many = f"{count} encoder{'s' if count > 1 else ''}"
    return f"{many}, {len(groups)} recipes" if 1 < len(groups) < count else many
