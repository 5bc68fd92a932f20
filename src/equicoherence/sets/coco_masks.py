"""Masks as COCO writes them: polygons, and run lengths down the columns, plain or as a string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SUBPIXEL = 5  # COCO draws polygons on a grid so many times finer than the pixels
BEYOND = 1000  # pixels that a polygon may reach beyond its image; published ones do so by a few


def decode_mask(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Return the mask (H, W) bool of an annotation's ``segmentation``, the same as COCO's own tools.

    segmentation: a list of polygons, x and y alternating, in pixels; or ``{"size": [H, W], "counts": ...}`` with run
    lengths as a list or a compressed string. size: (H, W) of the image. Raises ValueError for anything else.
    """
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        if list(segmentation.get("size", ())) != list(size):
            raise ValueError(f"run lengths are of size {segmentation.get('size')}, the image is {list(size)}")
        if isinstance(counts, str):
            return runs_to_mask(decompress_runs(counts), size)
        if isinstance(counts, list):
            return runs_to_mask(counts, size)
        raise ValueError(f"run lengths must be a list or a string, got {type(counts).__name__}")
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(f"a segmentation is a list of polygons or a dict of run lengths, got {segmentation!r:.80}")
    mask = np.zeros(size, dtype=bool)
    for polygon in segmentation:
        mask |= polygon_to_mask(polygon, size)
    return mask


def runs_to_mask(counts: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Return the mask (H, W) bool of run lengths down the columns, alternating outside and inside, outside first."""
    lengths = np.asarray(counts, dtype=np.int64)
    height, width = size
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"run lengths add up to {lengths.sum()}, the image has {height} x {width} pixels")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T


def decompress_runs(text: str) -> list[int]:
    """Return the run lengths of COCO's string: 5 bits a character, from the lowest, signed; from the fourth length on
    what is written is the difference to the last but one."""
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} does not occur in compressed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # more characters follow
            continue
        if bits & 16:  # negative: the bits above are ones
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError("compressed run lengths break off within a number")
    return counts


def polygon_to_mask(polygon: Sequence[float] | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the mask (H, W) bool of one polygon, x and y alternating, by COCO's rule.

    The outline is drawn on a grid of fifths of a pixel. Wherever it goes through the middle of a column of pixels,
    what is below changes between outside and inside.
    """
    points = np.asarray(polygon, dtype=np.float64)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise ValueError(f"a polygon needs three points or more, x and y by turns, got {len(points)} numbers")
    height, width = size
    if points.min() < -BEYOND or points.max() > max(size) + BEYOND:
        raise ValueError(
            f"a polygon reaches from {points.min():g} to {points.max():g}, the image is {height} x {width}"
        )
    corners = (SUBPIXEL * points.reshape(-1, 2) + 0.5).astype(np.int64)
    outline = np.concatenate([_line(*ends) for ends in zip(corners, np.roll(corners, -1, axis=0))])
    x, y = outline[:, 0], outline[:, 1]
    left, upper = np.minimum(x[1:], x[:-1]), np.minimum(y[1:], y[:-1])
    column = (left + 0.5) / SUBPIXEL - 0.5
    crosses = (x[1:] != x[:-1]) & (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    row = np.ceil(((upper[crosses] + 0.5) / SUBPIXEL - 0.5).clip(0, height)).astype(np.int64)
    changes = np.bincount(column[crosses].astype(np.int64) * height + row, minlength=height * width + 1)
    return (changes[:-1].cumsum() % 2 == 1).reshape(width, height).T


def _line(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the grid points (N, 2) of a line, both ends included, one for each step along its longer side."""
    across, along = np.abs(end - start)
    steps = max(across, along)
    if not steps:
        return start[None]
    axis = 0 if across >= along else 1
    swapped = start[axis] > end[axis]  # rounding is from the smaller end, whichever way it is drawn
    first, last = (end, start) if swapped else (start, end)
    moved = np.arange(steps + 1)
    line = np.empty((steps + 1, 2), dtype=np.int64)
    slope = (last[1 - axis] - first[1 - axis]) / steps
    line[:, axis] = first[axis] + moved
    line[:, 1 - axis] = (first[1 - axis] + slope * moved + 0.5).astype(np.int64)
    return line[::-1] if swapped else line
