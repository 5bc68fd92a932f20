"""Where each output pixel is read, and the reading: grids, borders, pyramid levels."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.geometry import horizon
from equicoherence.paths.outputs import Numbers
from equicoherence.paths.pyramid import Pyramid

Border = Literal["content", "reflection", "zeros"]
BORDERS: tuple[Border, ...] = ("content", "reflection", "zeros")


def check_border(border: str) -> None:
    """Raise ValueError unless ``border`` is one of ``BORDERS``."""
    if border not in BORDERS:
        raise ValueError(f"border {border!r} is unknown; choose one of {', '.join(BORDERS)}")


def places(pyramid: Pyramid, numbers: Numbers, size: int, border: Border) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return where in the source each pixel of (B, N) outputs is read, from which level, and which pixels are black.

    Coordinates are (B, N, S, S, 2); levels (B, N) of affine maps, else (B, N, S, S); black (B, N, S, S), None for none.
    """
    needed = pyramid.needed(numbers.whole, size, numbers.affine)
    if numbers.affine:
        points = grid(numbers.whole, numbers.base, numbers.path, size, border)
        return points, pyramid.level_at(needed), outside(numbers.path, size) if border == "zeros" else None
    depth = depths(numbers.whole, size)
    level = pyramid.level_at(needed[..., None, None], depth.maximum(horizon(numbers.whole)[..., None, None]))
    if border == "reflection":
        frame, first = projected(numbers.path, centres(size, depth.device))
        points, second = projected(numbers.base, mirrored(frame))
        return points, level, first | second
    points, black = projected(numbers.whole, centres(size, depth.device))
    if border == "zeros":
        frame, behind = projected(numbers.path, centres(size, depth.device))
        black = black | behind | (frame.abs_().amax(dim=-1) > 1)
    return points, level, black


def centres(size: int, device: torch.device) -> Tensor:
    """Return (S, S, 2), the centres of the pixels of an S x S image."""
    along = (torch.arange(size, device=device, dtype=torch.float32) * 2 + 1) / size - 1
    return torch.stack([along.expand(size, size), along[:, None].expand(size, size)], dim=-1)


def projected(matrix: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Map points (..., S, S, 2) by matrices (..., 3, 3); return also which of them lie behind the horizon (..., S, S).

    Those are given coordinates that are as large as at the horizon.
    """
    x, y = points.unbind(-1)
    u, v, depth = (
        row[..., 0, None, None] * x + row[..., 1, None, None] * y + row[..., 2, None, None] for row in matrix.unbind(-2)
    )
    least = horizon(matrix)[..., None, None]
    return torch.stack([u, v], dim=-1) / depth.maximum(least)[..., None], depth <= least


def depths(matrix: Tensor, size: int) -> Tensor:
    """Return (..., S, S), the depth of the pixels of an S x S output of matrices (..., 3, 3); see `geometry`."""
    x, y = centres(size, matrix.device).unbind(-1)
    g, h, i = (number[..., None, None] for number in matrix[..., 2, :].unbind(-1))
    return g * x + h * y + i


def coordinates(matrix: Tensor, size: int) -> Tensor:
    """Return (..., S, S, 2): where the pixels of an S x S output lie in the input of affine maps (..., 3, 3)."""
    centres = (torch.arange(size, device=matrix.device, dtype=torch.float32) * 2 + 1) / size - 1
    shape = (*matrix.shape[:-2], 1, size * 2)
    along = (matrix[..., None, :2, 0] * centres[:, None] + matrix[..., None, :2, 2]).reshape(shape)
    down = matrix[..., None, :2, 1].expand(*matrix.shape[:-2], size, 2).reshape(shape)
    return torch.addcmul(along, centres[:, None], down).view(*matrix.shape[:-2], size, size, 2)


def outside(path: Tensor, size: int) -> Tensor:
    """Return (..., S, S), true where the output of affine paths (..., 3, 3) lies beyond the base image."""
    return coordinates(path, size).abs_().amax(dim=-1) > 1


def grid(whole: Tensor, base: Tensor, path: Tensor, size: int, border: Border) -> Tensor:
    """Return (..., S, S, 2) source coordinates of affine maps ``whole = base @ path``, all (..., 3, 3)."""
    if border != "reflection":
        return coordinates(whole, size)
    frame = mirrored(coordinates(path, size)).flatten(-3, -2)
    points = frame @ base[..., :2, :2].mT + base[..., None, :2, 2]
    return points.view(*whole.shape[:-2], size, size, 2)


def mirrored(points: Tensor) -> Tensor:
    """Mirror coordinates at the edges -1 and 1, as often as it takes."""
    return ((points - 1).remainder(4) - 2).abs_() - 1


def read_atlas(pyramid: Pyramid, grid: Tensor, level: Tensor) -> Tensor:
    """Read the atlas at (B, N, S, S, 2), each of the N outputs from its own ``level``: (B, C, N, S * S).

    ``level`` is (B, N), or (B, N, S, S) where it differs from pixel to pixel.
    """
    if level.ndim == 2:
        level = level[..., None, None]
    assert pyramid.atlas is not None
    height, total = pyramid.atlas.shape[2:]
    table = constant(pyramid.sizes, grid.device)[level]  # rows, columns, left edge
    extent, left = table[..., :2].flip(-1), F.pad(table[..., 2:], (0, 1), value=2.0 * pyramid.spline)
    # clamped to pixel centres of the level, so that a neighbouring level never bleeds in
    at = (mirrored(grid) * (extent / 2) + (extent - 1) / 2).clamp_min_(0).minimum(extent - 1)
    whole = constant((total, height), grid.device)
    batch, count, size = grid.shape[:3]
    tall = (at + left).view(batch, count * size, size, 2)
    read = _read_spline if pyramid.spline else _read_bilinear
    return read(pyramid.atlas, tall, whole).unflatten(2, (count, size)).flatten(3)


def _read_bilinear(pixels: Tensor, at: Tensor, whole: Tensor) -> Tensor:
    """Read pixels (B, C, H, W) at (B, Y, X, 2), in pixels from the first one's centre; ``whole`` is (W, H)."""
    grid = at * (2 / whole) + (1 / whole - 1)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _read_spline(pixels: Tensor, at: Tensor, whole: Tensor) -> Tensor:
    """Read as `_read_bilinear`, but by quintic B-splines: their 36 taps are nine bilinear reads between the taps."""
    first = at.floor()
    t = at - first
    pairs = [_spline(t + 2 - 2 * k) for k in range(3)], [_spline(t + 1 - 2 * k) for k in range(3)]
    weights = [left + right for left, right in zip(*pairs)]
    places = [first - 2 + 2 * k + right / weight for k, (right, weight) in enumerate(zip(pairs[1], weights))]
    found = torch.zeros(*pixels.shape[:2], *at.shape[1:3], device=at.device)
    for x, of_x in zip(places, weights):
        for y, of_y in zip(places, weights):
            part = _read_bilinear(pixels, torch.stack([x[..., 0], y[..., 1]], dim=-1), whole)
            found.addcmul_(part, (of_x[..., 0] * of_y[..., 1])[:, None])
    return found


def _spline(distance: Tensor) -> Tensor:
    """Return the quintic B-spline at distances from its centre."""
    d = distance.abs()
    parts = [(end - d).clamp_min(0) ** 5 * factor for end, factor in ((3, 1), (2, -6), (1, 15))]
    return (parts[0] + parts[1] + parts[2]) / 120
