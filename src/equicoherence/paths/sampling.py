"""Where each output pixel is read, and the reading: grids, borders, pyramid levels."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.pyramid import Pyramid

Border = Literal["content", "reflection", "zeros"]
BORDERS: tuple[Border, ...] = ("content", "reflection", "zeros")


def check_border(border: str) -> None:
    """Raise ValueError unless ``border`` is one of ``BORDERS``."""
    if border not in BORDERS:
        raise ValueError(f"border {border!r} is unknown; choose one of {', '.join(BORDERS)}")


def coordinates(matrix: Tensor, size: int) -> Tensor:
    """Return (..., S, S, 2): where the pixels of an S x S output lie in the input of the matrices (..., 3, 3)."""
    centres = (torch.arange(size, device=matrix.device, dtype=torch.float32) * 2 + 1) / size - 1
    shape = (*matrix.shape[:-2], 1, size * 2)
    along = (matrix[..., None, :2, 0] * centres[:, None] + matrix[..., None, :2, 2]).reshape(shape)
    down = matrix[..., None, :2, 1].expand(*matrix.shape[:-2], size, 2).reshape(shape)
    return torch.addcmul(along, centres[:, None], down).view(*matrix.shape[:-2], size, size, 2)


def outside(path: Tensor, size: int) -> Tensor:
    """Return (..., S, S), true where the output of path matrices (..., 3, 3) lies beyond the base image."""
    return coordinates(path, size).abs_().amax(dim=-1) > 1


def grid(whole: Tensor, base: Tensor, path: Tensor, size: int, border: Border) -> Tensor:
    """Return (..., S, S, 2) source coordinates of matrices ``whole = base @ path``, all (..., 3, 3)."""
    if border != "reflection":
        return coordinates(whole, size)
    frame = mirrored(coordinates(path, size)).flatten(-3, -2)
    points = frame @ base[..., :2, :2].mT + base[..., None, :2, 2]
    return points.view(*whole.shape[:-2], size, size, 2)


def mirrored(points: Tensor) -> Tensor:
    """Mirror coordinates at the edges -1 and 1, as often as it takes."""
    return ((points - 1).remainder(4) - 2).abs_() - 1


def read_atlas(pyramid: Pyramid, grid: Tensor, level: Tensor) -> Tensor:
    """Read the atlas at (B, N, S, S, 2), each of the N outputs from its own ``level`` (B, N): (B, 3, N, S * S)."""
    assert pyramid.atlas is not None
    height, total = pyramid.atlas.shape[2:]
    table = constant(pyramid.sizes, grid.device)[level][:, :, None, None]  # rows, columns, left edge
    extent, left = table[..., :2].flip(-1), F.pad(table[..., 2:], (0, 1))
    # clamped to pixel centres of the level, so that a neighbouring level never bleeds in
    at = (mirrored(grid) * (extent / 2) + (extent - 1) / 2).clamp_min_(0).minimum(extent - 1)
    whole = constant((total, height), grid.device)
    batch, count, size = grid.shape[:3]
    tall = ((at + left) * (2 / whole) + (1 / whole - 1)).view(batch, count * size, size, 2)
    found = F.grid_sample(pyramid.atlas, tall, padding_mode="border", align_corners=False)
    return found.view(batch, 3, count, size * size)
