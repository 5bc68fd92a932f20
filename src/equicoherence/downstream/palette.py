"""Pictures of label images: fixed colours, and panels side by side."""

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


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Return images (H, W, 3) uint8 of one size in a row, made smaller together where they are over 320 pixels high."""
    height, width = panels[0].shape[:2]
    if height > TALLEST:
        size = (max(1, round(width * TALLEST / height)), TALLEST)
        panels = [np.array(Image.fromarray(panel).resize(size, Image.Resampling.BOX)) for panel in panels]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    parts = [part for panel in panels for part in (panel, gap)]
    return np.concatenate(parts[:-1], axis=1)
