"""The chart of an adaptation: of each figure where it was, where it is, and where the best earlier layer was."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equicoherence.reporting.adaptation.figures import FigureRow
from equicoherence.reporting.plots import PALETTE, STYLE, as_svg, drawable
from equicoherence.reporting.summary import Score

BEFORE, AFTER, LAYER = "#7a828e", PALETTE[0], PALETTE[4]
COLORS = {"original": BEFORE, "adapted": AFTER, "best earlier layer of the original": LAYER}
LOWEST = -0.2  # what lies below is drawn here, as an arrow
MARGIN = 0.03


def dumbbells(rows: Sequence[FigureRow]) -> bytes:
    """Draw each row as a line from the original to the adapted encoder, with intervals, and a mark for the layer."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 0.8 + 0.38 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            after = row.adapted.get(row.output)
            if row.original is not None and after is not None:
                ends = _at(row.original.mean), _at(after.mean)
                axes.plot(ends, (place, place), color="#d5dae1", linewidth=4, zorder=1, solid_capstyle="round")
            _dot(axes, row.original, place + 0.14, BEFORE)
            _dot(axes, after, place - 0.14, AFTER)
            if row.layer is not None:
                axes.plot(_at(row.layer.mean), place, "|", color=LAYER, markersize=13, markeredgewidth=2.6, zorder=2)
        axes.set_yticks(range(len(rows)), [drawable(row.title) for row in rows], parse_math=False)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        left, right = axes.get_xlim()
        axes.set_xlim(max(LOWEST - MARGIN, left), min(1 + MARGIN, right))
        axes.set_xlabel(
            "share that is right" if rows[0].of_classes else "R2; of left or right, the share that is right"
        )
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e6e9ee", linewidth=0.8)
        axes.set_axisbelow(True)
        return as_svg(figure)


def _dot(axes: Axes, score: Score | None, place: float, color: str) -> None:
    if score is None:
        return
    if score.interval is not None:
        low, high = map(_at, score.interval)
        axes.hlines(place, low, high, color=color, linewidth=1.4, zorder=3)
    axes.plot(_at(score.mean), place, "<" if score.mean < LOWEST else "o", color=color, markersize=6, zorder=4)


def _at(value: float) -> float:
    return min(1.0, max(LOWEST, value))
