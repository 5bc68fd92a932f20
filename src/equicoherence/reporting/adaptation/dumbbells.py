"""The chart of an adaptation: each score before and after, of z_equi alone, of the best layer, and its floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from equicoherence.reporting.adaptation.figures import Z_EQUI, FigureRow
from equicoherence.reporting.markup import Markup, element
from equicoherence.reporting.plot_frame import Frame, ticks
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import number

LOWEST = -0.2  # what lies below is drawn here, as an arrow
MARGIN = 0.03
STEP = 40  # from row to row
WIDTH = 340  # as wide as the screen of a telephone, about
LEFT = 12
LETTER = 6.2  # width of one, about


@dataclass(frozen=True)
class Mark:
    """How one kind of score is drawn, in the chart and in its legend.

    name: what it is. tone: its color in style.css. draw: its shape at (x, y).
    """

    name: str
    tone: str
    draw: Callable[[float, float], Markup]


def _dot_mark(name: str, tone: str) -> Mark:
    return Mark(name, tone, lambda x, y: element("circle", cx=f"{x:.1f}", cy=y, r="4", class_=f"tone {tone} dot"))


BEFORE = _dot_mark("original", "t6")
AFTER = _dot_mark("adapted", "t0")
ALONE = Mark(
    "z_equi alone", "t2", lambda x, y: element("path", d=f"M{x:.1f} {y - 5}l5 5l-5 5l-5 -5z", class_="tone t2")
)
LAYER = Mark(
    "best layer of the original",
    "t4",
    lambda x, y: element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=y - 7, y2=y + 7, class_="tone t4"),
)
GUESS = Mark(
    "constant guess (floor)",
    "",
    lambda x, y: element(
        "line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=y - 7, y2=y + 7, class_="floor", stroke_dasharray="2 2"
    ),
)


def dumbbells(rows: Sequence[FigureRow], label: str) -> Markup:
    """Draw each row as a line from the original to the adapted encoder, with intervals and the other marks.

    label: what the chart shows, for those who do not see it.
    """
    shown = [
        each
        for row in rows
        for each in (row.original, row.layer, row.adapted.get(row.output), row.adapted.get(Z_EQUI))
        if each
    ]
    ends = [_at(end) for each in shown for end in (each.mean, *(each.interval or ()))]
    ends = [*ends, *(_at(row.floor) for row in rows if row.floor is not None)] or [0.0, 1.0]
    span = max(LOWEST - MARGIN, min(ends) - MARGIN), min(1 + MARGIN, max(ends) + MARGIN)
    height = 48 + STEP * len(rows)
    width = max(WIDTH, LEFT + LETTER * max(len(row.title) for row in rows))
    frame = Frame(span, (0, 1), width=width, height=height, left=LEFT, bottom=40)
    parts = []
    for value in ticks(*span):
        x = f"{frame.across(value):.1f}"
        parts.append(element("line", x1=x, x2=x, y1=frame.top, y2=height - frame.bottom, class_="grid"))
        parts.append(element("text", f"{value:g}", x=x, y=height - frame.bottom + 14, text_anchor="middle"))
    for place, row in enumerate(rows):
        y, after = frame.top + STEP * (place + 0.65), row.adapted.get(row.output)
        parts.append(element("text", row.title, x=LEFT, y=y - 13))
        if row.original is not None and after is not None:
            begin, end = (frame.across(_at(each.mean)) for each in (row.original, after))
            parts.append(element("line", x1=f"{begin:.1f}", x2=f"{end:.1f}", y1=y, y2=y, class_="link"))
        if row.floor is not None:
            parts.append(_mark(frame, GUESS, row.floor, y, row))
        if row.layer is not None:
            parts.append(_mark(frame, LAYER, row.layer.mean, y, row, row.layer_name))
        if (alone := row.adapted.get(Z_EQUI)) is not None:
            parts.append(_mark(frame, ALONE, alone.mean, y, row))
        parts += _dot(frame, row.original, y - 4, BEFORE, row)
        parts += _dot(frame, after, y + 4, AFTER, row)
    unit = "accuracy" if rows[0].of_classes else "R2; for a sign, accuracy"
    middle = (LEFT + frame.width - frame.right) / 2
    parts.append(element("text", unit, x=middle, y=height - 7, text_anchor="middle", class_="title"))
    box = f"0 0 {frame.width:.0f} {height:.0f}"
    return element("svg", *parts, class_="plot", viewBox=box, role="img", aria_label=label)


def _mark(frame: Frame, mark: Mark, value: float, y: float, row: FigureRow, name: str = "") -> Markup:
    """Return a mark at a value, with the text that a pointer reads."""
    text = f"{row.title}, {name or mark.name}: {number(value, row.metric)}"
    return _read(mark.draw(frame.across(_at(value)), y), text)


def _dot(frame: Frame, score: Score | None, y: float, mark: Mark, row: FigureRow) -> list[Markup]:
    """Return a score with its interval."""
    if score is None:
        return []
    x, text = frame.across(_at(score.mean)), f"{row.title}, {mark.name}: {number(score.mean, row.metric)}"
    parts = []
    if score.interval is not None:
        low, high = (frame.across(_at(end)) for end in score.interval)
        text += f" ({' to '.join(number(end, row.metric) for end in score.interval)})"
        parts.append(element("line", x1=f"{low:.1f}", x2=f"{high:.1f}", y1=y, y2=y, class_=f"tone {mark.tone}"))
    if score.mean < LOWEST:
        parts.append(element("path", d=f"M{x:.1f} {y}l7 -4v8z", class_=f"tone {mark.tone} dot"))
    else:
        parts.append(mark.draw(x, y))
    return [_read(*parts, text)]


def _read(*parts: object) -> Markup:
    """Return marks with the text, the last of ``parts``, that a pointer reads of them."""
    return element("g", *parts[:-1], class_="bar", tabindex="0", data_tip=parts[-1], aria_label=parts[-1])


def _at(value: float) -> float:
    return min(1.0, max(LOWEST, value))
