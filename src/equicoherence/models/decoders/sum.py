"""Several decoders added up."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equicoherence.models.decoders.conv import ConvDecoder
from equicoherence.models.decoders.decoder import Decoder, Decoding, named
from equicoherence.models.decoders.render import RenderDecoder


class SumDecoder(Decoder):
    """Add what several decoders say: `RenderDecoder` for the transformation, `ConvDecoder` for the rest."""

    def __init__(self, *decoders: Decoder) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(decoders)

    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        return torch.stack([d(z1, z2, grid, view2).float() for d in self.decoders]).sum(dim=0)


@named("render+conv", from_view2=True)
def _build(wanted: Decoding) -> SumDecoder:
    drawn = ConvDecoder(wanted.d_equi, wanted.targets, wanted.size, wanted.grid)
    return SumDecoder(RenderDecoder(wanted.d_equi, wanted.targets, parts=wanted.parts), drawn)
