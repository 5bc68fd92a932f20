"""Pictures of matches: lines between two images, and the curve over the angle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from equicoherence.downstream.correspondence.matches import Matches
from equicoherence.downstream.line_pictures import RIGHT, WRONG, Line, show_lines
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, spread

AT_MIRROR = (60, 110, 255)
MOST = 60  # lines of a kind


def draw_matches(first: np.ndarray, second: np.ndarray, matches: Matches, row: int, grid: tuple[int, int]) -> Picture:
    """Return two images (H, W, 3) uint8 side by side, with a line for each match: wrong ones red, those at the mirror
    place blue, right ones green.

    row: of the pair in ``matches``. grid: tokens (h, w) of an image. At most 60 lines of a kind are drawn.
    """
    nearest = matches.nearest[row].tolist()
    wrong = matches.wrong[row] & ~matches.at_mirror[row]
    lines: list[Line] = []
    for chosen, color in ((wrong, WRONG), (matches.at_mirror[row], AT_MIRROR), (matches.right[row], RIGHT)):
        numbers = chosen.nonzero()[:, 0].tolist()
        kept = [numbers[place] for place in spread(len(numbers), MOST)]
        lines += [(_centre(number, grid), _centre(nearest[number], grid), color) for number in kept]
    return show_lines(first, second, lines)


def _centre(number: int, grid: tuple[int, int]) -> tuple[float, float]:
    return (number % grid[1] + 0.5) / grid[1], (number // grid[1] + 0.5) / grid[0]


def draw_curve(rows: Sequence[Row], middles: Mapping[str, float]) -> Picture:
    """Return a plot of the metrics of rows over the angle.

    middles: parameter of a row -> the middle of its bin in degrees. Floors and chances are dotted.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    lines = {
        "matched": ("#0072B2", "true matches found"),
        "precision": ("#009E73", "matches that are right"),
        "mirrored": ("#D55E00", "wrong matches at the mirror place"),
    }
    for metric, (color, label) in lines.items():
        of = [row for row in rows if row.metric == metric and row.parameter]
        axes.plot([middles[row.parameter] for row in of], [row.value for row in of], "o-", color=color, label=label)
        low = [(middles[row.parameter], row.chance if metric == "mirrored" else row.floor) for row in of]
        if metric != "precision":
            axes.plot(*zip(*low) if low else ([], []), ":", color=color)
    axes.plot([], [], ":", color="gray", label="matched where it stands; chance")
    ticks = range(0, 181, 30)
    axes.set(xlabel="angle between the two renders in degrees", xlim=(0, 180), ylim=(0, 1), xticks=ticks)
    axes.legend(fontsize=8, frameon=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture(np.array(canvas.buffer_rgba())[..., :3])
