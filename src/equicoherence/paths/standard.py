"""Parameters of a path as labels, standardised, for methods that receive them."""

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


class FittedTheta(nn.Module):
    """Scale theta (B, P) to zero mean and unit variance of what is seen in training; as it is until `fit`.

    Both are kept with the weights. size: P.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, mean: Tensor, deviation: Tensor) -> None:
        """Take over mean and deviation (P,) of theta, the latter above 0."""
        if mean.shape != self.mean.shape or deviation.shape != self.mean.shape or not bool((deviation > 0).all()):
            raise ValueError(f"mean and deviation must be {len(self.mean)} numbers, above 0; got {mean}, {deviation}")
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)

    def forward(self, theta: Tensor) -> Tensor:
        """Return the scaled parameters (B, P)."""
        return (theta - self.mean) / self.deviation


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
