"""Pictures of what belongs together in two images: lines between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from equicoherence.downstream.palette import magnified
from equicoherence.evaluation.picture import Picture

HIGH = 320  # pixels
RIGHT, WRONG = (40, 200, 60), (230, 60, 40)
GAP = 8  # pixels of white between the images

Line = tuple[Sequence[float], Sequence[float], tuple[int, int, int]]
"""A place in the first image and one in the second, x and y as shares of their sides, and a color."""


def show_lines(first: np.ndarray, second: np.ndarray, lines: Sequence[Line]) -> Picture:
    """Return two images (H, W, 3) uint8 side by side, and with lines between them, see `draw_lines`."""
    return Picture(draw_lines(first, second, lines), {"images": draw_lines(first, second, [])})


def draw_lines(first: np.ndarray, second: np.ndarray, lines: Sequence[Line]) -> np.ndarray:
    """Return two images (H, W, 3) uint8, each 320 pixels high, side by side, with lines between them."""
    panels = [_panel(each) for each in (first, second)]
    canvas = Image.new("RGB", (panels[0].width + GAP + panels[1].width, HIGH), (255, 255, 255))
    lefts = (0, panels[0].width + GAP)
    for panel, left in zip(panels, lefts):
        canvas.paste(panel, (left, 0))
    pen = ImageDraw.Draw(canvas)
    for start, end, color in lines:
        ends = [
            (left + panel.width * place[0], HIGH * place[1]) for place, panel, left in zip((start, end), panels, lefts)
        ]
        pen.line(ends, fill=color, width=1)
        for x, y in ends:
            pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=color)
    return np.array(canvas)


def _panel(image: np.ndarray) -> Image.Image:
    width = max(1, round(image.shape[1] * HIGH / image.shape[0]))
    return magnified(image, (HIGH, width))
