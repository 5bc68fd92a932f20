"""Numbers as text, and the one table: as Markdown, for a terminal, and as HTML. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equicoherence.reporting.markup import Markup, element, join
from equicoherence.reporting.summary import Score

if TYPE_CHECKING:
    from rich.table import Table

MISSING = "\N{EN DASH}"
PERCENT = frozenset({"top1", "top5"})
NUMBER, FLOOR = "number", "number quiet"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    kind: ``text``, ``number`` (right aligned) or ``number quiet`` (a floor, set lighter).
    best: whether it is the best of its row, and bold.
    remark: what stands small below it on a page, and nowhere else.
    """

    content: object
    kind: str = "text"
    best: bool = False
    remark: str = ""


FOLDED = 8  # letters of the title of a column of numbers in a terminal that stay on one line


@dataclass(frozen=True)
class Grid:
    """A table. header: column titles. rows: values or `Cell`; the first of each row is its heading."""

    header: Sequence[object]
    rows: Sequence[Sequence[object]]

    @property
    def cells(self) -> list[list[Cell]]:
        """All rows, as cells."""
        return [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]

    @property
    def kinds(self) -> list[str]:
        """Return the kind of each column."""
        return [cell.kind for cell in self.cells[0]] if self.rows else ["text"] * len(self.header)

    def markdown(self) -> str:
        """Return the table as Markdown, without an end of line."""
        rows = [[f"**{plain(c.content)}**" if c.best else plain(c.content) for c in row] for row in self.cells]
        written = [[plain(title) for title in self.header], ["---"] * len(self.header), *rows]
        return "\n".join(f"| {' | '.join(row)} |" for row in written)

    def rich(self) -> Table:
        """Return the table for a terminal; numbers are whole, all else is folded where it must be."""
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for title, kind, *cells in zip(self.header, self.kinds, *self.cells):
            text = kind == "text"
            texts = [one_line(cell.content) for cell in cells]
            widest = max(map(len, texts), default=0)
            word = max((len(word) for each in texts for word in each.split()), default=0)
            table.add_column(
                Text(one_line(title)),
                justify="left" if text else "right",
                overflow="fold",
                min_width=None if text else word,
                max_width=None if text else max(widest, FOLDED),
            )
        for row in self.cells:
            table.add_row(*(Text(one_line(cell.content), style="bold" if cell.best else "") for cell in row))
        return table

    def html(self, caption: str, marked: Sequence[bool] = ()) -> Markup:
        """Return the table for a page, where it scrolls sideways if it is too wide. marked: rows to highlight."""
        titles = [
            element("th", _breakable(title), scope="col", class_=_class(kind))
            for title, kind in zip(self.header, self.kinds)
        ]
        body = []
        for index, (heading, *cells) in enumerate(self.cells):
            content = [element("td", _on_page(cell), class_=_class(cell.kind)) for cell in cells]
            row = element("th", _on_page(heading), scope="row"), *content
            body.append(element("tr", *row, class_="marked" if index < len(marked) and marked[index] else None))
        head = element("thead", element("tr", *titles))
        table = element("table", element("caption", caption), head, element("tbody", *body))
        return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def number(value: float | None, metric: str = "") -> str:
    """Write a score: accuracies as per cent with one decimal, all else with three; a missing one as a dash."""
    if value is None:
        return MISSING
    text = f"{100 * value:.1f} %" if metric in PERCENT else f"{value:.3f}"
    return "0.000" if text == "-0.000" else text.replace("-", "\N{MINUS SIGN}")


def deviation(value: float, metric: str = "") -> str:
    """Write a standard deviation in the unit of its score, as `number` writes that: "7.1" (per cent) or ".071"."""
    return f"{100 * value:.1f}" if metric in PERCENT else f"{value:.3f}".removeprefix("0")


def with_deviation(mean: float, std: float | None, metric: str) -> str:
    """Write a mean and, where there is one, its standard deviation: "0.500 ±.071"."""
    return number(mean, metric) + (f" ±{deviation(std, metric)}" if std is not None else "")


def range_text(entry: Score) -> str:
    """Write smallest and largest, and over what: "0.801 to 0.823, 2 runs"; empty if there is only one value."""
    if entry.n < 2:
        return ""
    return f"{number(entry.low, entry.metric)} to {number(entry.high, entry.metric)}, {entry.n} {entry.over}"


def floor_cell(floors: tuple[float, float] | None, metric: str) -> Cell:
    """Return what a constant prediction scores: one number, two where it differs between runs, or a dash."""
    texts = dict.fromkeys(number(value, metric) for value in floors or ())
    return Cell(" to ".join(texts) or MISSING, FLOOR)


def one_line(value: object) -> str:
    """Return text on one line."""
    return " ".join(str(value).split())


def plain(value: object) -> str:
    """Return text that stays in its cell of a Markdown table: one line, no bar."""
    return one_line(value).replace("|", "\\|")


def _on_page(cell: Cell) -> Markup:
    content = element("strong", cell.content) if cell.best else cell.content
    return join([content, element("small", cell.remark) if cell.remark else ""])


def _breakable(title: object) -> Markup:
    """Return the title of a column, in which a line may end behind an underscore or a slash, as in names of models."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/])", str(title))) if not isinstance(title, Markup) else title


def _class(kind: str) -> str | None:
    return kind if kind != "text" else None
