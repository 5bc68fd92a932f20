"""Data of the rotation slider: rotated images, and for each encoder the nearest images and patches as colors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equicoherence.reporting.explorer.files import reduced

NEAREST = 5
READS = ("backbone", "z_inv", "z_equi")


@dataclass(frozen=True, eq=False)
class Read:
    """Results of one representation. nearest: (n, A, k), bank indices. colors: (n, A, h, w, 3) uint8, or None."""

    name: str
    nearest: np.ndarray
    colors: np.ndarray | None


@dataclass(frozen=True, eq=False)
class TurnedImages:
    """Images at several angles.

    title: which images.
    places: where they lie in their source.
    angles: A of them, degrees, counter-clockwise as seen.
    shown: (n, A, S, S, 3) uint8.
    bank: (M, S, S, 3) uint8, the images among which the nearest are sought.
    classes, bank_classes: of both, "" where unknown.
    reads: of each encoder, by name.
    """

    title: str
    places: Sequence[int]
    angles: Sequence[int]
    shown: np.ndarray
    bank: np.ndarray
    classes: Sequence[str]
    bank_classes: Sequence[str]
    reads: Mapping[str, Sequence[Read]]


def thumbnails(pictures: np.ndarray, side: int = 48, columns: int = 20) -> np.ndarray:
    """Return pictures (M, S, S, 3) as one sheet, reduced, row by row."""
    small = reduced(pictures, side)
    rows = -(-len(small) // columns)
    sheet = np.zeros((rows * columns, *small.shape[1:]), np.uint8)
    sheet[: len(small)] = small
    size = small.shape[1]
    return sheet.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)
