"""What the slider along a path shows: views and states of some images, and what each run decodes from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNITS = {"angle": "degrees", "octaves": "octaves", "sigma": "px", "x": "px at 224", "y": "px at 224"}


@dataclass(frozen=True)
class Number:
    """One number of a transformation, with its unit ("degrees", "px at 224", ...; may be empty)."""

    name: str
    unit: str = ""


GEODESIC = [
    Number("rotation", "degrees"),
    Number("zoom", "octaves"),
    Number("shift x", "px at 224"),
    Number("shift y", "px at 224"),
    Number("blur, variance", "px²"),
]
HALF = 112  # pixels of a 224-pixel image in a normalised unit


@dataclass(frozen=True, eq=False)
class Decoding:
    """What one run decodes.

    stops: which of the scene's places it decodes, D rising numbers from 0. by: the decoder of each.
    pictures: (n, D, S, S, 3) uint8.
    """

    name: str
    stops: tuple[int, ...]
    by: tuple[str, ...]
    pictures: np.ndarray


@dataclass(frozen=True, eq=False)
class PathScene:
    """Images along one path.

    title: which images and which path. begin: what stands at t = 0, "u" or "v1".
    v1: (n, S, S, 3) uint8, view 1. states: (n, T, S, S, 3) uint8, from t = 0 to view 2 at t = 1.
    times: (T,), rising, from 0 to 1.
    numbers: P of theta. theta: (n, T, P), at each place; (n, 1, P) where only those of the whole path are known.
    decodings: of each run that decodes.
    """

    title: str
    begin: str
    v1: np.ndarray
    states: np.ndarray
    times: np.ndarray
    numbers: Sequence[Number]
    theta: np.ndarray
    decodings: Sequence[Decoding]

    def errors(self, decoding: Decoding) -> np.ndarray:
        """Return the mean absolute error (n, D) of what a run decodes, as a share of the range of a pixel."""
        return mean_error(decoding.pictures, self.states[:, list(decoding.stops)])

    def still(self) -> np.ndarray:
        """Return the error (n, T) of the nearer end of the path without any change: a baseline without information."""
        ends = self.states[:, :1], self.states[:, -1:]
        return np.minimum(*(mean_error(np.broadcast_to(end, self.states.shape), self.states) for end in ends))


def mean_error(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference (n, D) of uint8 pictures (n, D, S, S, 3), in [0, 1]."""
    difference = np.abs(pictures.astype(np.int16) - truth.astype(np.int16))
    return difference.mean(axis=(2, 3, 4)) / 255


def geodesic_numbers(theta: np.ndarray, times: Sequence[float]) -> tuple[list[Number], np.ndarray]:
    """Return readable numbers of theta of a path between two views: rotation, zoom, shift and blur, (n, T, 5) at times.

    theta: (n, 19), see `equicoherence.paths.between.Between`: the logarithm of a place, which grows evenly with t.
    """
    a, b, x, c, d, y = theta[:, :6].astype(np.float64).T
    turn, zoom = np.rad2deg((c - b) / 2), -(a + d) / 2 / math.log(2)
    whole = np.stack([turn, zoom, -x * HALF, -y * HALF, theta[:, 18].astype(np.float64)], axis=1)
    return GEODESIC, np.asarray(times)[:, None] * whole[:, None]
