"""Maps of tokens, as those of a layer, on the grid of another."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def on_grid(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return tokens (B, C, h, w) on another grid (h', w'), resampled bilinearly, antialiased where there are fewer."""
    if tokens.shape[2:] == grid:
        return tokens
    return F.interpolate(tokens, grid, mode="bilinear", antialias=tokens.shape[2] > grid[0])
