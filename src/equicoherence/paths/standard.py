"""Parameters of a path as labels: those that are told, each on the same scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equicoherence.paths.transformation import Parameter


class ChosenTheta(nn.Module):
    """Keep some columns of theta (..., P), in the order given."""

    columns: Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, theta: Tensor) -> Tensor:
        """Return the columns (..., number of those kept)."""
        return theta.index_select(-1, self.columns)


class StandardTheta(nn.Module):
    """Scale theta (B, P) to zero mean and unit variance of the parameters' uniform ranges.

    A parameter whose range is a single number becomes 0.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__()
        middle = torch.tensor([(p.low + p.high) / 2 for p in parameters])
        spread = torch.tensor([(p.high - p.low) / 12**0.5 for p in parameters]).clamp_min(1e-6)
        self.register_buffer("middle", middle, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, theta: Tensor) -> Tensor:
        """Return the scaled parameters (B, P)."""
        return (theta - self.middle) / self.spread
