"""The chart of an adaptation: of each figure where it was, where it is, and where an earlier layer was."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equicoherence.reporting.adaptation.figures import FigureRow
from equicoherence.reporting.plots import INK, PALETTE, STYLE, as_svg, drawable
from equicoherence.reporting.summary import Score

BEFORE, AFTER, LAYER = "#7a828e", PALETTE[0], PALETTE[4]
LOWEST = -0.1  # an R2 below this is drawn here


def dumbbells(rows: Sequence[FigureRow]) -> bytes:
    """Draw each row as a line from the original to the adapted encoder, with intervals, and a mark for the layer."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.9 + 0.36 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            after = row.adapted.get(row.output)
            if row.original is not None and after is not None:
                ends = _shown(row.original), _shown(after)
                axes.plot(ends, (place, place), color="#c3c9d2", linewidth=3, zorder=1, solid_capstyle="round")
            _dot(axes, row.original, place + 0.1, BEFORE, "o")
            _dot(axes, after, place - 0.1, AFTER, "o")
            if row.layer is not None:
                axes.plot(_shown(row.layer), place, "|", color=LAYER, markersize=11, markeredgewidth=2.4, zorder=2)
        axes.axvline(0, color="#9aa3af", linewidth=0.8, zorder=0)
        axes.set_yticks(range(len(rows)), [drawable(row.title) for row in rows], parse_math=False)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(LOWEST - 0.03, 1.02)
        axes.set_xlabel("R2, or share that is right", color=INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e6e9ee", linewidth=0.8)
        axes.set_axisbelow(True)
        return as_svg(figure)


def _dot(axes: Axes, score: Score | None, place: float, color: str, marker: str) -> None:
    if score is None:
        return
    if score.interval is not None:
        low, high = (max(LOWEST, end) for end in score.interval)
        axes.hlines(place, low, high, color=color, linewidth=1.3, zorder=3)
    axes.plot(_shown(score), place, marker, color=color, markersize=6, zorder=4)


def _shown(score: Score) -> float:
    return max(LOWEST, score.mean)
