"""The camera: it looks down at the origin from the front.

World: x right, y up, z towards the camera. Camera: x right, y down, z forward (as OpenCV has it). Lengths are in radii
of the object, which lies in the unit sphere about the origin. The pixel in row r, column c has its centre at
(c + 0.5, r + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, and how wide it looks."""

    elevation: float
    """Height above the horizon, radians; it looks down by as much."""
    distance: float
    """To the origin."""
    spread: float
    """Tangent of half the field of view."""
    shift_x: float = 0.0
    """Where the origin lies in the image, to the right; the image spans [-1, 1]."""
    shift_y: float = 0.0
    """The same, downwards."""

    def intrinsics(self, size: int) -> np.ndarray:
        """Return the matrix (3, 3) that takes camera coordinates to homogeneous pixel coordinates."""
        focal, half = size / 2 / self.spread, size / 2
        return np.array([[focal, 0, half * (1 + self.shift_x)], [0, focal, half * (1 + self.shift_y)], [0, 0, 1]])

    def extrinsics(self) -> np.ndarray:
        """Return the matrix (4, 4) that takes world to camera coordinates, both homogeneous."""
        cosine, sine = np.cos(self.elevation), np.sin(self.elevation)
        return np.array([[1, 0, 0, 0], [0, -cosine, sine, 0], [0, -sine, -cosine, self.distance], [0, 0, 0, 1]])
