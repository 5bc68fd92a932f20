"""Color maps as batched matrices: ``x -> C x + D m`` with ``m`` the mean color of the base image.

A map is one (B, 3, 6) tensor ``[C | D]``. Brightness, contrast, saturation and grayscale agree with torchvision up to
clamping between the steps. Hue is a turn about the grey axis that keeps the luma: linear, where torchvision's goes
through HSV, so the two differ (`tests/paths/test_against_torchvision.py` measures by how much).
"""

import math

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, torchvision's digits


def identity(batch: int, device: torch.device | str = "cpu") -> Tensor:
    """Return (B, 3, 6) identity maps."""
    return torch.eye(3, 6, device=device).repeat(batch, 1, 1)


def then(first: Tensor, second: Tensor) -> Tensor:
    """Compose two (B, 3, 6) maps: ``first``, then ``second``.

    The mean passes through ``first`` as every pixel does, so it arrives at ``second`` as ``(C1 + D1) m``.
    """
    c1, d1 = first[..., :3], first[..., 3:]
    c2, d2 = second[..., :3], second[..., 3:]
    return torch.cat([c2 @ c1, c2 @ d1 + d2 @ (c1 + d1)], dim=-1)


def brightness(factor: Tensor) -> Tensor:
    """Multiply all channels by ``factor`` (B,)."""
    return factor[:, None, None] * identity(len(factor), factor.device)


def contrast(factor: Tensor) -> Tensor:
    """Blend with the luma of the mean color: ``factor`` (B,), 0 is flat grey, 1 the image."""
    c = factor[:, None, None] * torch.eye(3, device=factor.device)
    d = (1 - factor)[:, None, None] * _to_luma(factor)
    return torch.cat([c, d], dim=-1)


def saturation(factor: Tensor) -> Tensor:
    """Blend with the luma of each pixel: ``factor`` (B,), 0 is grayscale, 1 the image."""
    eye = torch.eye(3, device=factor.device)
    c = factor[:, None, None] * eye + (1 - factor)[:, None, None] * _to_luma(factor)
    return torch.cat([c, torch.zeros_like(c)], dim=-1)


def hue(turns: Tensor) -> Tensor:
    """Turn the chroma about the grey axis by ``turns`` (B,) full turns, keeping the luma."""
    angle = 2 * math.pi * turns
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    luma = _to_luma(turns)
    eye = torch.eye(3, device=turns.device)
    c = luma + cos * (eye - luma) + sin * _quarter_turn(turns.device)
    return torch.cat([c, torch.zeros_like(c)], dim=-1)


def apply(color: Tensor, pixels: Tensor, mean: Tensor) -> Tensor:
    """Apply (B, 3, 6) maps to pixels (B, 3, H, W) with mean colors (B, 3)."""
    offset = color[..., 3:] @ mean[:, :, None]
    return torch.baddbmm(offset, color[..., :3], pixels.flatten(2)).view(len(color), 3, *pixels.shape[2:])


def _to_luma(like: Tensor) -> Tensor:
    return torch.tensor(LUMA, device=like.device).expand(3, 3)


def _quarter_turn(device: torch.device) -> Tensor:
    """Return the 3x3 generator: the cross product with the grey axis, projected along grey onto zero luma."""
    root = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -root, root], [root, 0.0, -root], [-root, root, 0.0]], device=device)
    luma = torch.tensor(LUMA, device=device).expand(3, 3)
    plane = torch.eye(3, device=device) - luma  # onto chroma (luma 0), along grey
    upright = torch.eye(3, device=device) - 1 / 3  # onto the plane orthogonal to grey
    return plane @ cross @ upright
