"""Color maps as batched matrices: ``x -> C x + D m`` with ``m`` the mean color of the base image.

A map is one (B, 3, 6) tensor ``[C | D]``. Brightness, contrast, saturation and grayscale agree with torchvision up to
clamping between the steps. Hue is a turn about the grey axis, which keeps the mean of the three channels:
linear, where torchvision's goes through HSV. For turns up to a tenth on photographs of clothing the two changes have a
cosine of 0.8 to 0.9; their mean absolute difference is 0.78 of torchvision's change (3.8 of 4.9 levels of 255; a turn
that keeps the luma is farther, 1.14). `tests/paths/test_hue.py` holds these figures.
"""

import math

import torch
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.digits import all_digits

LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, torchvision's digits
TURN = ((0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0))  # times the root of 1/3: the cross product with grey


def identity(batch: int, device: torch.device | str = "cpu") -> Tensor:
    """Return (B, 3, 6) identity maps."""
    return torch.eye(3, 6, device=device).repeat(batch, 1, 1)


def then(first: Tensor, second: Tensor) -> Tensor:
    """Compose two (B, 3, 6) maps: ``first``, then ``second``.

    The mean passes through ``first`` as every pixel does, so it arrives at ``second`` as ``(C1 + D1) m``.
    """
    c1, d1 = first[..., :3], first[..., 3:]
    c2, d2 = second[..., :3], second[..., 3:]
    with all_digits(first):
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
    """Turn colors about the grey axis by ``turns`` (B,) full turns, red towards green, keeping the mean of R, G, B."""
    angle = (2 * math.pi * turns)[:, None, None]
    eye, grey = torch.eye(3, device=turns.device), torch.full((3, 3), 1 / 3, device=turns.device)
    cross = math.sqrt(1 / 3) * constant(TURN, turns.device)
    c = grey + torch.cos(angle) * (eye - grey) + torch.sin(angle) * cross
    return torch.cat([c, torch.zeros_like(c)], dim=-1)


def _to_luma(like: Tensor) -> Tensor:
    return constant(LUMA, like.device).expand(3, 3)
