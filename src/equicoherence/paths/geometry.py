"""Geometric maps as batched 3x3 matrices (output to input, normalised coordinates; see `equicoherence.paths`).

The **depth** of an output point is the third coordinate of its homogeneous image, ``g x + h y + i`` with (g, h, i) the
third row of the matrix; what is read lies at the first two coordinates over the depth. It is 1 everywhere for an affine
map. What has no depth above 0 lies behind the horizon, where there is nothing to read.
"""

import torch
from torch import Tensor

from equicoherence.paths.constants import constant

CORNERS = ((-1.0, 1.0, -1.0, 1.0), (-1.0, -1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0))  # of an image, homogeneous, in columns
HORIZON = 1e-4  # share of the largest depth on an output below which a point counts as behind the horizon


def identity(batch: int, device: torch.device | str = "cpu") -> Tensor:
    """Return (B, 3, 3) identity matrices."""
    return torch.eye(3, device=device).repeat(batch, 1, 1)


def affine(a: Tensor, b: Tensor, tx: Tensor, c: Tensor, d: Tensor, ty: Tensor) -> Tensor:
    """Stack six (B,) tensors to (B, 3, 3) matrices ``[[a, b, tx], [c, d, ty], [0, 0, 1]]``."""
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    return torch.stack([a, b, tx, c, d, ty, zero, zero, one], dim=1).view(-1, 3, 3)


def rotation(degrees: Tensor) -> Tensor:
    """Turn the content counter-clockwise about the centre by ``degrees`` (B,)."""
    radians = torch.deg2rad(degrees)
    cos, sin, zero = torch.cos(radians), torch.sin(radians), torch.zeros_like(radians)
    return affine(cos, -sin, zero, sin, cos, zero)


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Shift the content by (x, y), each (B,), in normalised units (2 is the width of the image)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return affine(one, zero, -x, zero, one, -y)


def scaling(factor: Tensor) -> Tensor:
    """Magnify the content about the centre by ``factor`` (B,), above 0."""
    zero = torch.zeros_like(factor)
    return affine(1 / factor, zero, zero, zero, 1 / factor, zero)


def tilt(x: Tensor, y: Tensor) -> Tensor:
    """Bring the right side nearer by ``x`` (B,) and the lower side by ``y`` (B,): depth ``1 + x across + y down``."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([one, zero, zero, zero, one, zero, x, y, one], dim=1).view(-1, 3, 3)


def crop(x: Tensor, y: Tensor, width: Tensor, height: Tensor, flip: Tensor) -> Tensor:
    """Show the box with centre (x, y) and size (width, height), as fractions of the full image; mirror where ``flip``.

    All are (B,); centre in normalised coordinates; ``flip`` is 0 or 1 and mirrors left and right.
    """
    zero = torch.zeros_like(x)
    return affine(width * (1 - 2 * flip), zero, x, zero, height, y)


def is_affine(matrix: Tensor) -> Tensor:
    """Return (...) whether the third row of matrices (..., 3, 3) is exactly (0, 0, 1)."""
    return (matrix[..., 2, :] == constant((0.0, 0.0, 1.0), matrix.device, matrix.dtype)).all(dim=-1)


def magnification(matrix: Tensor, affine: bool = False) -> Tensor:
    """Return linear magnifications (...) of the content by (..., 3, 3) at the centre of the output.

    It is one over the root of the map's area factor there, ``determinant / depth ** 3``. ``affine``: all are known to
    be affine, whose magnification is the same everywhere.
    """
    at_depth_1 = magnification_at_depth_1(matrix, affine)
    return at_depth_1 if affine else at_depth_1 * matrix[..., 2, 2].clamp_min(0) ** 1.5


def magnification_at_depth_1(matrix: Tensor, affine: bool = False) -> Tensor:
    """Return linear magnifications (...) where the depth is 1; elsewhere they are ``depth ** 1.5`` times as large."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    determinant = a * d - b * c
    if not affine:
        tx, ty, (g, h, i) = matrix[..., 0, 2], matrix[..., 1, 2], matrix[..., 2, :].unbind(-1)
        determinant = i * determinant + g * (b * ty - tx * d) - h * (a * ty - tx * c)
    return determinant.abs().clamp_min(1e-12).rsqrt()


def depths(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest and the smallest depth (...) on the output of (..., 3, 3), neither behind the horizon."""
    spread = matrix[..., 2, :2].abs().sum(dim=-1)
    middle, least = matrix[..., 2, 2], horizon(matrix)
    return (middle + spread).maximum(least), (middle - spread).maximum(least)


def horizon(matrix: Tensor) -> Tensor:
    """Return the depth (...) from which down a point of the output of (..., 3, 3) counts as behind the horizon."""
    return HORIZON * matrix[..., 2, :].abs().sum(dim=-1)


def bounding_boxes(matrix: Tensor, affine: bool = False) -> Tensor:
    """Return (..., 4): centre x, half width, centre y, half height of the upright box that (..., 3, 3) reads from.

    ``affine``: all are known to be affine. Of a frame with a horizon the box reaches very far.
    """
    reach = matrix[..., :2, :2].abs().sum(dim=-1)
    simple = torch.stack([matrix[..., 0, 2], reach[..., 0], matrix[..., 1, 2], reach[..., 1]], dim=-1)
    if affine:
        return simple
    corners = matrix @ constant(CORNERS, matrix.device)
    corners = corners[..., :2, :] / corners[..., 2:, :].maximum(horizon(matrix)[..., None, None])
    low, high = corners.amin(dim=-1), corners.amax(dim=-1)
    general = torch.stack([(high + low) / 2, (high - low) / 2], dim=-1).flatten(-2)
    return torch.where(is_affine(matrix)[..., None], simple, general)
