"""What is seen beside the object where the horizon is in the image: tiles, haze, sky."""

from __future__ import annotations

from typing import Any

import numpy as np

from equicoherence.drawing.compiled import compiled

_TILE = 0.8  # side of a tile, in radii of the object
_CLEAR = 14.0  # how far one sees until 1 / e of the floor's own colour is left
_ZENITH = 0.5  # sine of the height at which the haze ends


@compiled
def paint_backdrop(face_at: Any, view: Any, palette: Any, tiles: float, colours: Any) -> None:
    """Turn the light on the floor, in ``colours`` (H, W, 3), into the floor's colour, and write the sky's.

    Only where no face is seen (``face_at`` -1). view: see `shade`; palette: (3,) float32 RGB of the floor, the zenith
    and the haze; tiles: their contrast.
    """
    (camera, eye, pinhole, floor, grazing), (ground, zenith, haze) = view, palette
    height, width = face_at.shape
    for row in range(height):
        down = (row - pinhole[2]) / pinhole[0]
        up, deep = camera[1, 1] * down + camera[2, 1], camera[1, 2] * down + camera[2, 2]
        reach = (floor - eye[1]) / up  # the camera's x axis is level
        odd = int(np.floor((eye[2] + reach * deep) / _TILE)) if up < -grazing else 0
        for column in range(width):
            if face_at[row, column] >= 0:
                continue
            across = (column - pinhole[1]) / pinhole[0]
            length = np.sqrt(across * across + down * down + 1)
            if up < -grazing:
                near = np.exp(-reach * length / _CLEAR)
                contrast = tiles if (odd + int(np.floor(reach * across / _TILE))) % 2 == 0 else -tiles
                own, air = (1 + contrast * near) * near + 0.6 * (1 - near), 0.25 * (1 - near)
                for k in range(3):
                    colours[row, column, k] *= np.float32(ground[k] * own + haze[k] * air)
            else:
                share = min(max(up / length / _ZENITH, 0.0), 1.0)
                for k in range(3):
                    colours[row, column, k] = haze[k] + (zenith[k] - haze[k]) * np.float32(share)
