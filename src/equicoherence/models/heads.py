"""Projection heads."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def projector(widths: Sequence[int], *, last_bias: bool = False, last_norm: bool = False) -> nn.Sequential:
    """Return linear layers of the given widths with BatchNorm and ReLU between them.

    The last layer is bare, or has a bias, or is followed by BatchNorm without scale and shift.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=last_bias))
    if last_norm:
        layers.append(nn.BatchNorm1d(widths[-1], affine=False))
    return nn.Sequential(*layers)


class PrototypeHead(nn.Module):
    """DINO's head: an MLP of three layers, an L2 norm, and the cosine to each of K prototypes (Caron et al., 2021).

    GELU between the layers; no BatchNorm, as for ViT. Published: hidden 2048, bottleneck 256, and 65,536 prototypes
    (DINO, DINOv2) or 8192 (iBOT).
    extra: further rows of the last layer, for `equivariant` [P2]. Either part is computed without the other.
    unit: whether prototypes keep length 1; else each has a length that is trained, from 1, and logits are cosines times
    lengths (see `Prototypes`).
    Cosines are float32 whatever the precision: a teacher's temperature of .02 enlarges the errors of bf16 fifty times.
    """

    def __init__(
        self, width: int, hidden: int, bottleneck: int, prototypes: int, extra: int = 0, *, unit: bool = True
    ) -> None:
        super().__init__()
        if prototypes < 1 or extra < 0:
            raise ValueError(f"a head needs at least 1 prototype and 0 extra outputs, got {prototypes} and {extra}")
        self.prototypes = prototypes
        widths = [width, hidden, hidden, bottleneck]
        linear = [nn.Linear(before, after) for before, after in pairwise(widths)]
        for layer in linear:
            nn.init.normal_(layer.weight, std=0.02)  # published as truncated, at a hundred deviations
            nn.init.zeros_(layer.bias)
        self.mlp = nn.Sequential(linear[0], nn.GELU(), linear[1], nn.GELU(), linear[2])
        self.last_layer = Prototypes(bottleneck, prototypes + extra, unit)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (..., prototypes) of x (..., width), in [-1, 1] for prototypes of length 1."""
        return self._logits(x, slice(self.prototypes))

    def equivariant(self, x: Tensor) -> Tensor:
        """Return the outputs of the extra rows (..., extra) of x (..., width)."""
        return self._logits(x, slice(self.prototypes, None))

    def _logits(self, x: Tensor, rows: slice) -> Tensor:
        directions = self.mlp(x).float()
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(F.normalize(directions, dim=-1), self.last_layer(rows))


class Prototypes(nn.Module):
    """Prototypes as lengths times directions (weight norm): DINO's ``norm_last_layer`` keeps the lengths at 1.

    weight: (K, C), whose rows count by their direction alone. length: (K, 1), None for 1.
    """

    def __init__(self, width: int, count: int, unit: bool) -> None:
        super().__init__()
        self.weight = nn.Linear(width, count, bias=False).weight
        self.length = None if unit else nn.Parameter(torch.ones(count, 1))

    def forward(self, rows: slice) -> Tensor:
        """Return some of the prototypes (rows, C)."""
        directions = F.normalize(self.weight[rows], dim=1)
        return directions if self.length is None else self.length[rows] * directions


class ClassPatchHead(nn.Module):
    """One head for the summary of a view and for patch tokens alike, as published by iBOT, or one for each.

    A shared head is called once. `equivariant` is the patch tokens' head's.
    """

    def __init__(self, patch: PrototypeHead, summary: PrototypeHead | None = None) -> None:
        super().__init__()
        self.patch, self.summary = patch, summary

    def forward(self, summaries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of summaries (..., C) and of tokens (M, C), M may be 0."""
        if self.summary is not None:
            return self.summary(summaries), self.patch(tokens)
        rows = summaries.flatten(0, -2)
        of_summaries, of_tokens = self.patch(torch.cat([rows, tokens])).split([len(rows), len(tokens)])
        return of_summaries.unflatten(0, summaries.shape[:-1]), of_tokens

    def equivariant(self, x: Tensor) -> Tensor:
        """Return the outputs of the extra rows (..., extra) of x (..., width)."""
        return self.patch.equivariant(x)
