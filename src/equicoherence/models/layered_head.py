"""A small convolutional head that computes z_equi from tokens of one or several layers of an encoder."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.features import Features
from equicoherence.models.token_maps import on_grid

INNER = 128  # a wide z_equi stands its ground beside the features; the convolution need not be as wide


class LayeredHead(nn.Module):
    """Compute z_equi from the tapped layers of an encoder, or from its output.

    Earlier layers still have what the last layers discard: docs/layers.md. Each layer is normalised and mapped to
    d_equi channels: a finer layer by a convolution over the tokens inside one token of the first layer, a coarser one
    token by token, upsampled. A 3 x 3 convolution of at most `INNER` channels, between linear maps and GELUs, is added
    to their sum.

    widths: channels of each layer.
    reductions: width of a token in pixels of the image, for each layer. The tokens of z_equi are those of the first
        layer.
    tapped: whether tapped layers are read, as many as there are widths, and not the output, which has one.
    moments: whether a quarter of the channels is weighted by the cosine of pi x, and another by that of pi y, where x
        and y in (0, 1) are the place of a token: their mean over the tokens then holds where things are, which a plain
        mean does not.
    """

    def __init__(
        self,
        widths: Sequence[int],
        reductions: Sequence[int],
        d_equi: int,
        *,
        tapped: bool,
        moments: bool = False,
    ) -> None:
        super().__init__()
        self.moments, self.layers = moments, len(widths) if tapped else 0
        sides = [max(1, reductions[0] // reduction) for reduction in reductions]
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.reads = nn.ModuleList(nn.Conv2d(width, d_equi, side, stride=side) for width, side in zip(widths, sides))
        inner = min(d_equi, INNER)
        self.mix = nn.Sequential(
            *(nn.GELU(), nn.Conv2d(d_equi, inner, 1)),
            *(nn.GELU(), nn.Conv2d(inner, inner, 3, padding=1)),
            *(nn.GELU(), nn.Conv2d(inner, d_equi, 1)),
        )

    def forward(self, features: Features) -> Tensor:
        """Return z_equi (B, M, d_equi), M tokens of the first layer."""
        layers, parts = features.read(self.layers), []
        first = layers[0][1]  # the grid of z_equi
        for (tokens, grid), norm, read in zip(layers, self.norms, self.reads, strict=True):
            part = norm(tokens).transpose(1, 2).unflatten(2, grid)
            side = int(read.stride[0])  # type: ignore[index, arg-type]
            whole = (first[0] * side, first[1] * side)
            if side > 1 and part.shape[2:] != whole:  # sides that do not divide, such as 25 tokens over 13
                part = F.interpolate(part, whole, mode="bilinear")
            parts.append(on_grid(read(part), first))
        read = functools.reduce(torch.add, parts)  # stacked, they would be copied into another memory layout
        mixed = read + self.mix(read)
        return (place_weighted(mixed) if self.moments else mixed).flatten(2).transpose(1, 2)


def place_weighted(maps: Tensor) -> Tensor:
    """Weight the third quarter of the channels of maps (B, C, h, w) by the cosine of pi x, the last by that of pi y."""
    down, across = (
        torch.cos((torch.arange(side, device=maps.device) + 0.5) * (math.pi / side)).to(maps.dtype)
        for side in maps.shape[2:]
    )
    quarter = maps.shape[1] // 4
    plain, third, last = maps.split([maps.shape[1] - 2 * quarter, quarter, quarter], dim=1)
    return torch.cat([plain, third * across, last * down[:, None]], dim=1)
