"""The decoder of [P2]: deliberately weak convolutions, one stack for each state."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.decoders.decoder import Decoder, Decoding, named
from equicoherence.models.decoders.position import PositionEmbedding
from equicoherence.models.upsampled_conv import UpsampledConv


class ConvDecoder(Decoder):
    """T independent decoders of one linear and four convolution layers, deliberately weak [P2, section 3].

    Tokens of both views are concatenated patch by patch. Three stages of [conv 3x3, GELU, nearest upsampling] and a
    last conv to the channels; the upsampling factors multiply to the patch size. Where that is no power of two (14 px),
    or no whole number, they multiply to the next one above it, and the pictures are resized (bilinear). The T decoders
    run as groups of one convolution. With ``any_time`` there is one decoder for all states, which adds the position of
    each state on the path to its features.
    """

    def __init__(
        self,
        d_equi: int,
        targets: int,
        size: int,
        grid: tuple[int, int],
        channels: int = 96,
        *,
        any_time: bool = False,
        colors: int = 3,
    ) -> None:
        super().__init__()
        self.place = PositionEmbedding(channels) if any_time else None
        targets = 1 if any_time else targets
        self.targets, self.colors = targets, colors
        self.size = size
        self.factors = stage_factors(size, grid)
        widths = [channels, max(16, channels * 2 // 3), max(16, channels // 3), max(16, channels // 3)]
        self.linear = nn.Linear(2 * d_equi, channels * targets)
        enlarged = zip(itertools.pairwise(widths), [1, *self.factors])  # each stage enlarges for the next
        self.stages = nn.ModuleList(UpsampledConv(a * targets, b * targets, f, targets) for (a, b), f in enlarged)
        self.last = UpsampledConv(widths[-1] * targets, colors * targets, self.factors[-1], targets)

    def forward(
        self, z1: Tensor, z2: Tensor, grid: tuple[int, int], views: tuple[Tensor, Tensor], times: Tensor
    ) -> Tensor:
        x = self.linear(torch.cat([z1, z2], dim=-1))
        if self.place is not None:
            x = (x[:, None] + self.place(times)[:, :, None]).flatten(0, 1)  # (B * T, N, channels)
        x = x.transpose(1, 2).unflatten(2, grid)
        for stage in self.stages:
            x = F.gelu(stage(x))
        x = self.last(x)
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear")
        pictures = x.unflatten(1, (self.targets, self.colors))
        return pictures if self.place is None else pictures[:, 0].unflatten(0, times.shape)


@named("conv")
def _build(wanted: Decoding) -> ConvDecoder:
    return ConvDecoder(
        *(wanted.d_equi, wanted.targets, wanted.size, wanted.grid),
        any_time=wanted.any_time,
        colors=wanted.channels,
    )


def stage_factors(size: int, grid: tuple[int, int]) -> list[int]:
    """Return the upsampling factor after each of three stages: powers of two.

    Their product is the least power of two by which neither side of the grid stays below ``size``.
    """
    steps = max(0, math.ceil(math.log2(size / min(grid))))
    return [2 ** (steps // 3 + (stage < steps % 3)) for stage in range(3)]
