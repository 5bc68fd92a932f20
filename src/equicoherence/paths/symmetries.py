"""The eight symmetries of the square: an image or its mirror image, in one of four quarter turns."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SYMMETRIES = 8
"""0 to 3: number of quarter turns counter-clockwise; 4 to 7: the mirror image, then number - 4 quarter turns."""


def show_symmetries(images: Tensor, numbers: Tensor) -> Tensor:
    """Return square images (B, C, S, S), each in the symmetry of its number (B,), long. Pixels are only permuted."""
    places = _places(images.shape[-1], images.device)[numbers]
    return images.flatten(2).gather(2, places[:, None].expand(-1, images.shape[1], -1)).view(images.shape)


def undo_symmetries(tokens: Tensor, numbers: Tensor) -> Tensor:
    """Return tokens (B, S * S, C) of a square grid, row by row, at the positions before the symmetries ``numbers``
    (B,).

    Raises ValueError if the number of tokens is not a square.
    """
    side = math.isqrt(tokens.shape[1])
    if side**2 != tokens.shape[1]:
        raise ValueError(f"symmetries move tokens of a square grid, got {tokens.shape[1]} tokens")
    places = _places(side, tokens.device).argsort(dim=1)[numbers]
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def _places(side: int, device: torch.device) -> Tensor:
    """Return where each pixel of each symmetry, row by row, is taken from, (8, side * side)."""
    straight = torch.arange(side**2, device=device).view(side, side)
    turned = [each.rot90(turns) for each in (straight, straight.flip(1)) for turns in range(4)]
    return torch.stack(turned).flatten(1)
