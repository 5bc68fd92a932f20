"""The camera: it stands still and looks down at the origin, so that the floor fills the image.

World: x right, y up, z towards the camera. Camera: x right, y down, z forward (as OpenCV has it). Lengths are in radii
of the object, which lies in the unit sphere about the origin. The pixel in row r, column c has its centre at
(c + 0.5, r + 0.5).
"""

from __future__ import annotations

import numpy as np

DISTANCE = 3.2
ELEVATION = np.radians(35.0)
SPREAD = 0.335  # tangent of half the field of view: the unit sphere fits, with 2 % to spare


def intrinsics(size: int) -> np.ndarray:
    """Return the matrix (3, 3) that takes camera coordinates to homogeneous pixel coordinates."""
    focal = size / 2 / SPREAD
    return np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])


def extrinsics() -> np.ndarray:
    """Return the matrix (4, 4) that takes world to camera coordinates, both homogeneous."""
    cosine, sine = np.cos(ELEVATION), np.sin(ELEVATION)
    return np.array([[1, 0, 0, 0], [0, -cosine, sine, 0], [0, -sine, -cosine, DISTANCE], [0, 0, 0, 1]])
