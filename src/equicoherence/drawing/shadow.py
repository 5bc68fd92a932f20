"""Colours of samples under soft shadows, read from a map of what the light sees first.

Light coordinates: x and y across the light, z towards it, in radii of the object. The map covers the square [-EXTENT,
EXTENT] and holds the z of the first surface. Percentage-closer soft shadows (Fernando 2005): the mean distance to what
hides the light says how wide the penumbra is, the share of taps that are hidden how dark.

Compiled code is kept per file and does not see that another file has changed: kernels call, and read constants of,
their own file alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from equicoherence.drawing.compiled import compiled

_F, _U = np.float32, np.uintp

EXTENT = 1.02
CELL = 8  # texels on a side of a coarse cell
EMPTY = -10.0
_FARTHEST = 3.8  # no point whose light the map can say anything of lies farther behind what hides it
_STEEPEST = _F(4)  # beyond it taps would run along faces that the light only grazes
_BIAS = 0.006


@cache
def discs(count: int) -> np.ndarray:
    """Return four turns of ``count`` points that fill the unit disc evenly, (4, 2, count) float32 (Vogel's spiral).

    Neighbouring samples take different turns, so that a pixel averages over four times as many points.
    """
    index = np.arange(count)
    angle = index * np.pi * (3 - np.sqrt(5)) + np.arange(4)[:, None] * np.pi / 2
    radius = np.sqrt((index + (np.arange(4)[:, None] + 0.5) / 4) / count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


@compiled
def nearest_around(depths: Any, radius: float, coarse: Any, scratch: Any) -> None:
    """Write for each coarse cell the greatest z of the map within reach of the widest penumbra; radius: as below."""
    cells, side = len(coarse), len(depths)
    reach = int(np.ceil(radius * _FARTHEST / (2 * EXTENT) * (side - 1) / CELL)) + 1
    for i in range(cells):
        for j in range(cells):
            highest = np.float32(EMPTY)
            for row in range(i * CELL, min((i + 1) * CELL, side)):
                for column in range(j * CELL, min((j + 1) * CELL, side)):
                    highest = max(highest, depths[row, column])
            coarse[i, j] = highest
    for i in range(cells):
        for j in range(cells):
            highest = np.float32(EMPTY)
            for k in range(max(j - reach, 0), min(j + reach + 1, cells)):
                highest = max(highest, coarse[i, k])
            scratch[i, j] = highest
    for i in range(cells):
        for j in range(cells):
            highest = np.float32(EMPTY)
            for k in range(max(i - reach, 0), min(i + reach + 1, cells)):
                highest = max(highest, scratch[k, j])
            coarse[i, j] = highest


@compiled
def visible(x: Any, y: Any, z: Any, slope_x: Any, slope_y: Any, shadow: Any, turn: Any) -> Any:
    """Return the share of the light that a point sees, in [0, 1].

    slope_x, slope_y: how z changes along the point's own surface, so that a surface does not hide itself. shadow:
    radius of the light over its distance, the map, the coarse one, discs to search and to tap. turn: which of the
    four turns of the discs to use.
    """
    radius, depths, coarse, search, taps = shadow
    if max(abs(x), abs(y)) > _F(EXTENT + radius * _FARTHEST):
        return _F(1)
    last = _F(len(depths) - 1)
    texel, texels = _F(2 * EXTENT) / last, last / _F(2 * EXTENT)
    column, row = (x + _F(EXTENT)) * texels, (y + _F(EXTENT)) * texels
    cell_x, cell_y = _U(min(max(column, _F(0)), last)) // _U(CELL), _U(min(max(row, _F(0)), last)) // _U(CELL)
    slope_x = min(max(slope_x, -_STEEPEST), _STEEPEST) * texel
    slope_y = min(max(slope_y, -_STEEPEST), _STEEPEST) * texel
    start = z + _F(_BIAS) + _F(0.5) * (abs(slope_x) + abs(slope_y))
    above = coarse[cell_y, cell_x] - start
    if above <= 0:
        return _F(1)
    column, row = column + _F(0.5), row + _F(0.5)
    reach = max(_F(radius) * above * texels, _F(1))
    hidden, gap = _F(0), _F(0)
    for k in range(search.shape[2]):
        right, up = search[turn, 0, _U(k)] * reach, search[turn, 1, _U(k)] * reach
        i, j = _U(min(max(row + up, _F(0)), last)), _U(min(max(column + right, _F(0)), last))  # the border is empty
        over = depths[i, j] - (start + slope_x * right + slope_y * up)
        hidden += _F(1) if over > 0 else _F(0)
        gap += max(over, _F(0))
    if hidden == 0:
        return _F(1)
    reach = max(_F(radius) * gap / hidden * texels, _F(1))
    hidden = _F(0)
    for k in range(taps.shape[2]):
        right, up = taps[turn, 0, _U(k)] * reach, taps[turn, 1, _U(k)] * reach
        i, j = _U(min(max(row + up, _F(0)), last)), _U(min(max(column + right, _F(0)), last))
        hidden += _F(1) if depths[i, j] > start + slope_x * right + slope_y * up else _F(0)
    return _F(1) - hidden / _F(taps.shape[2])


@compiled
def shade(nearness: Any, face_at: Any, lit: Any, view: Any, light: Any, shadow: Any, colours: Any) -> None:
    """Write the colours (H, W, 3) of samples, with soft shadows on object and floor.

    lit: of `light_faces`. view: camera (3, 4), world to camera; its place; its focal length, and the column and row of
    its axis, in samples; the floor's height; and how little, for each unit forward, a ray may fall to see it. light:
    (3, 3) world to light coordinates. shadow: as above. A sample that sees no face (``face_at`` -1) sees the floor, or
    the sky: that is left as it is.
    """
    camera, eye, pinhole, floor, grazing = view
    height, width = nearness.shape
    start, step = np.empty(3, np.float32), np.empty(3, np.float32)
    origin = np.empty(3, np.float32)
    for k in range(3):
        origin[k] = light[k, 0] * eye[0] + light[k, 1] * eye[1] + light[k, 2] * eye[2]
        step[k] = (light[k, 0] * camera[0, 0] + light[k, 1] * camera[0, 1] + light[k, 2] * camera[0, 2]) / pinhole[0]
    for row in range(height):
        down = (row - pinhole[2]) / pinhole[0]
        across = -pinhole[1] / pinhole[0]
        for k in range(3):
            start[k] = _F(0)
            for m in range(3):
                start[k] += light[k, m] * (camera[0, m] * across + camera[1, m] * down + camera[2, m])
        slope = camera[1, 1] * down + camera[2, 1]  # the camera's x axis is level
        floor_depth = _F((floor - eye[1]) / slope)
        sx, sy, sz = start[0], start[1], start[2]
        dx, dy, dz = step[0], step[1], step[2]
        for column in range(width):
            i = _U(column)
            face = face_at[row, i]
            if face < 0 and slope > -grazing:
                continue
            depth = _F(1) / nearness[row, i] if face >= 0 else floor_depth
            shown = _U(face) if face >= 0 else _U(len(lit) - 1)
            seen = _F(1)
            if lit[shown, 3] + lit[shown, 4] + lit[shown, 5] > 0:
                x = origin[0] + depth * (sx + _F(column) * dx)
                y = origin[1] + depth * (sy + _F(column) * dy)
                z = origin[2] + depth * (sz + _F(column) * dz)
                seen = visible(x, y, z, lit[shown, 6], lit[shown, 7], shadow, _U(2 * (row & 1) + (column & 1)))
            colours[row, i, 0] = lit[shown, 0] + seen * lit[shown, 3]
            colours[row, i, 1] = lit[shown, 1] + seen * lit[shown, 4]
            colours[row, i, 2] = lit[shown, 2] + seen * lit[shown, 5]
