"""Maps of tokens, as those of a layer, on the grid of another."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def on_grid(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return tokens (B, C, h, w) on another grid (h', w'), resampled bilinearly, antialiased where there are fewer on
    either side."""
    if tokens.shape[2:] == grid:
        return tokens
    fewer = tokens.shape[2] > grid[0] or tokens.shape[3] > grid[1]
    exact = tokens.float() if fewer else tokens  # on a CPU there is no antialiasing in bfloat16
    return F.interpolate(exact, grid, mode="bilinear", antialias=fewer).to(tokens.dtype)
