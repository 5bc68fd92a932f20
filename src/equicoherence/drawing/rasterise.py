"""The z-buffer: which face, and how near, each sample sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from equicoherence.drawing.compiled import compiled


@compiled
def rasterise(points: Any, faces: Any, nearness: Any, face_at: Any) -> None:
    """Draw triangles over what is there already, where they are nearer.

    points: (V, 3) float64 column, row and nearness of the vertices; samples lie at whole columns and rows, and nearness
    (1 / depth in perspective, minus depth in parallel projection) is affine on the screen. faces: (F, 3) int32.
    nearness: (H, W) float32 and face_at: (H, W) int32 are written.
    """
    height, width = nearness.shape
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        xa, ya, na = points[a, 0], points[a, 1], points[a, 2]
        xb, yb, nb = points[b, 0], points[b, 1], points[b, 2]
        xc, yc, nc = points[c, 0], points[c, 1], points[c, 2]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0.0:
            continue
        across = ((nb - na) * (yc - ya) - (nc - na) * (yb - ya)) / area
        down = ((nc - na) * (xb - xa) - (nb - na) * (xc - xa)) / area
        low, high = min(na, nb, nc), max(na, nb, nc)  # else the plane of a sliver shoots past its corners
        top, bottom = max(int(np.ceil(min(ya, yb, yc))), 0), min(int(np.floor(max(ya, yb, yc))), height - 1)
        for row in range(top, bottom + 1):
            left, right = _crossing(xa, ya, xb, yb, row, np.inf, -np.inf)
            left, right = _crossing(xb, yb, xc, yc, row, left, right)
            left, right = _crossing(xc, yc, xa, ya, row, left, right)
            if left > right:
                continue
            first, last = max(int(np.ceil(left)), 0), min(int(np.floor(right)), width - 1)
            start = na + down * (row - ya) - across * xa
            for column in range(first, last + 1):
                value = np.float32(min(max(start + across * column, low), high))
                if value > nearness[row, column]:
                    nearness[row, column] = value
                    face_at[row, column] = face


@compiled
def _crossing(x0: float, y0: float, x1: float, y1: float, row: int, left: float, right: float) -> Any:
    """Widen the span [left, right] to where an edge crosses a row."""
    if y0 > y1:  # both faces of an edge walk it the same way: no gap is left between them
        x0, y0, x1, y1 = x1, y1, x0, y0
    if y0 <= row <= y1 and y0 < y1:
        x = x0 + (row - y0) * ((x1 - x0) / (y1 - y0))
        return min(left, x), max(right, x)
    return left, right
