"""Geometric maps as batched 3x3 matrices (output to input, normalised coordinates; see `equicoherence.paths`)."""

import torch
from torch import Tensor


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


def crop(x: Tensor, y: Tensor, width: Tensor, height: Tensor, flip: Tensor) -> Tensor:
    """Show the box with centre (x, y) and size (width, height), as fractions of the full image; mirror where ``flip``.

    All are (B,); centre in normalised coordinates; ``flip`` is 0 or 1 and mirrors left and right.
    """
    zero = torch.zeros_like(x)
    return affine(width * (1 - 2 * flip), zero, x, zero, height, y)


def magnification(matrix: Tensor) -> Tensor:
    """Return linear magnifications (...) of the content by (..., 3, 3): one over the root of the determinant."""
    determinant = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
    return determinant.abs().clamp_min(1e-12).rsqrt()
