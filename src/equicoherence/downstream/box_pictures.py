"""Pictures of boxes: predicted ones solid, true ones dashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

from equicoherence.downstream.palette import magnified
from equicoherence.evaluation.picture import Picture

PREDICTED, TRUE = (255, 120, 0), (0, 220, 255)
HIGHEST = 320  # pixels
DASH = 5  # pixels, and as many between two of them
TEXT = 15  # pixels


def show_boxes(
    pixels: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray,
    captions: Sequence[str] = (),
    true_captions: Sequence[str] = (),
) -> Picture:
    """Return an image (H, W, 3) uint8 with its true boxes (N, 4), and with the predicted ones too, see `draw_boxes`.

    captions: of predicted boxes.
    true_captions: of true ones, which are shown where these are alone.
    """
    given = {"true boxes": draw_boxes(pixels, predicted[:0], true, true_captions=true_captions)}
    return Picture(draw_boxes(pixels, predicted, true, captions), given)


def draw_boxes(
    pixels: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray,
    captions: Sequence[str] = (),
    true_captions: Sequence[str] = (),
) -> np.ndarray:
    """Return an image (H, W, 3) uint8, enlarged or reduced to 320 pixels high at most, with boxes (N, 4) in its pixels.

    Predicted boxes are solid and orange, true ones are dashed and blue; each has its caption where there are some, true
    ones only if it fits into the box.
    """
    height, width = pixels.shape[:2]
    scale = HIGHEST / max(height, width) if height < HIGHEST / 2 else min(1.0, HIGHEST / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = magnified(pixels, (size[1], size[0]))
    pen = ImageDraw.Draw(picture)
    for number, box in enumerate(true * scale):
        _dashed(pen, box)
        if true_captions and pen.textlength(true_captions[number], font_size=TEXT) < box[2] - box[0]:
            _write(pen, box, true_captions[number], TRUE)
    for number, box in enumerate(predicted * scale):
        left, top, right, bottom = _within(box)
        pen.rectangle((left, top, right, bottom), outline=PREDICTED, width=2)
        if captions:
            _write(pen, box, captions[number], PREDICTED)
    return np.array(picture)


def _write(pen: ImageDraw.ImageDraw, box: np.ndarray, text: str, color: tuple[int, int, int]) -> None:
    place = (float(box[0]) + 3, float(box[1]) + 2)
    pen.rectangle(pen.textbbox(place, text, font_size=TEXT), fill=(0, 0, 0))
    pen.text(place, text, fill=color, font_size=TEXT)


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
