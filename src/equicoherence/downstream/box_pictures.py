"""Pictures of boxes: predicted ones solid, true ones dashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

PREDICTED, TRUE = (255, 120, 0), (0, 220, 255)
HIGHEST = 320  # pixels
DASH = 5  # pixels, and as many between two of them


def draw_boxes(pixels: np.ndarray, predicted: np.ndarray, true: np.ndarray, captions: Sequence[str] = ()) -> np.ndarray:
    """Return an image (H, W, 3) uint8, enlarged or reduced to 320 pixels high at most, with boxes (N, 4) in its pixels.

    Predicted boxes are solid and orange, with captions where there are some; true ones are dashed and blue.
    """
    height, width = pixels.shape[:2]
    scale = HIGHEST / max(height, width) if height < HIGHEST / 2 else min(1.0, HIGHEST / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for box in true * scale:
        _dashed(pen, box)
    for number, box in enumerate(predicted * scale):
        left, top, right, bottom = _within(box)
        pen.rectangle((left, top, right, bottom), outline=PREDICTED, width=2)
        if captions:
            place = (left + 3, top + 2)
            pen.rectangle(pen.textbbox(place, captions[number]), fill=(0, 0, 0))
            pen.text(place, captions[number], fill=PREDICTED)
    return np.array(picture)


def _within(box: np.ndarray) -> tuple[float, float, float, float]:
    """Return the first and last pixels of a box."""
    left, top, right, bottom = map(float, box)
    return left, top, max(right - 1, left), max(bottom - 1, top)


def _dashed(pen: ImageDraw.ImageDraw, box: np.ndarray) -> None:
    left, top, right, bottom = _within(box)
    for x in np.arange(left, right, 2 * DASH).tolist():
        for y in (top, bottom):
            pen.line((x, y, min(x + DASH, right), y), fill=TRUE, width=2)
    for y in np.arange(top, bottom, 2 * DASH).tolist():
        for x in (left, right):
            pen.line((x, y, x, min(y + DASH, bottom)), fill=TRUE, width=2)
