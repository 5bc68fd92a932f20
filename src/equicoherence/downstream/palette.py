"""Pictures of label images: fixed colours, a size that fits a page, and panels side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

TALLEST = 320  # pixels
GAP = 4  # pixels of white between panels


def palette() -> np.ndarray:
    """Return the colours (256, 3) uint8 of Pascal VOC, by label: neighbours differ, and 0 is black.

    The three lowest bits of a label become the highest bits of red, green and blue; the next three bits the next ones,
    and so on (VOC development kit, function VOClabelcolormap).
    """
    labels = np.arange(256)[:, None]
    channels = np.arange(3)
    colours = np.zeros((256, 3), dtype=np.int64)
    for place in range(3):
        colours |= (labels >> (3 * place + channels) & 1) << (7 - place)
    return colours.astype(np.uint8)


def painted(labels: np.ndarray) -> np.ndarray:
    """Return labels (H, W) uint8 in the colours of `palette`, (H, W, 3) uint8."""
    return palette()[labels]


def hex_color(label: int) -> str:
    """Return the color of a label in `palette`, as in CSS."""
    return "#" + bytes(palette()[label]).hex()


def shown_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the size (h, w) at which an image (H, W, ...) is shown, at most 320 pixels high."""
    height, width = shape[:2]
    return (height, width) if height <= TALLEST else (TALLEST, max(1, round(width * TALLEST / height)))


def reduced(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) uint8 at `shown_size`."""
    height, width = shown_size(image.shape)
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def magnified(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return an image (H, W, 3) uint8 at a size (h, w), its pixels as squares where they are enlarged twice or more."""
    clean = size[0] >= 2 * image.shape[0]
    how = Image.Resampling.NEAREST if clean else Image.Resampling.BICUBIC
    return Image.fromarray(image).resize((size[1], size[0]), how)


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Return images (H, W, 3) uint8 of one size in a row, made smaller together where they are over 320 pixels high."""
    panels = [reduced(panel) for panel in panels]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    parts = [part for panel in panels for part in (panel, gap)]
    return np.concatenate(parts[:-1], axis=1)
