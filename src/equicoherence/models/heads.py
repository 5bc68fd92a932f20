"""Projection heads."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def projector(widths: Sequence[int]) -> nn.Sequential:
    """Return linear layers of the given widths with BatchNorm and ReLU between them; the last layer is bare."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=False))
