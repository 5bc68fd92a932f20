"""The position of a state on the path, embedded as a vector that a decoder adds to its features."""

import math

import torch
from torch import Tensor, nn

from equicoherence.paths.constants import constant

WAVES = tuple(math.pi * k for k in (1, 2, 3, 4))


class PositionEmbedding(nn.Module):
    """A linear map of t, and of sine and cosine of one to four half turns times t."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(1 + 2 * len(WAVES), width)

    def forward(self, times: Tensor) -> Tensor:
        """Embed positions (B, T) in [0, 1] as (B, T, width)."""
        times = times[..., None]
        phase = times * constant(WAVES, times.device)
        return self.linear(torch.cat([times, phase.sin(), phase.cos()], dim=-1))
