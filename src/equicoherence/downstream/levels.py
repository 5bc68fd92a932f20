"""Feature maps of several depths of an encoder, for heads that read more than its output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equicoherence.errors import RefusedValue
from equicoherence.models import Encoder

LEVELS = 4


class Levels(nn.Module):
    """Return up to four feature maps of an encoder, the finest first, from one forward pass.

    A convolutional or other hierarchical network gives the last map of each of its last four resolutions. A plain
    vision transformer, all of whose maps have one resolution, gives those after each quarter of its blocks, with its
    last norm applied; `Rescale` makes a hierarchy of them. Of an encoder that ends at a layer, none lies behind that.

    encoder: as `resizable` gives it; its weights are this module's too. size: pixels on a side of an image it takes.
    widths, strides: channels of each map, and pixels of the image between its columns. plain: whether all maps have one
    resolution. Raises ValueError for an encoder without timm's ``forward_intermediates``.
    """

    def __init__(self, encoder: Encoder, size: int) -> None:
        super().__init__()
        if not hasattr(encoder.model, "forward_intermediates"):
            raise RefusedValue(
                f"{encoder.name} gives its last features alone: timm has no forward_intermediates for it"
            )
        self.encoder = encoder
        self._indices = None if encoder.ends_at is None else list(range(encoder.ends_at + 1))
        was_training = encoder.training
        with torch.no_grad():
            maps = self.eval()(torch.zeros(1, 3, size, size, device=encoder.mean.device))
        self.train(was_training)
        sides = [each.shape[2] for each in maps]
        last = [place for place, side in enumerate(sides) if side not in sides[place + 1 :]]
        self.plain = len(last) == 1
        if self.plain:
            count = min(LEVELS, len(maps))
            last = [(place + 1) * len(maps) // count - 1 for place in range(count)]
        self._indices = last[-LEVELS:]
        self.widths = tuple(maps[place].shape[1] for place in self._indices)
        self.strides = tuple(max(1, round(size / sides[place])) for place in self._indices)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps (B, C_i, H_i, W_i) of images (B, 3, H, W) in [0, 1]."""
        x = ((images - self.encoder.mean) / self.encoder.std).contiguous(memory_format=torch.channels_last)
        return self.encoder.model.forward_intermediates(  # type: ignore[operator]
            x, indices=self._indices, norm=True, output_fmt="NCHW", intermediates_only=True
        )


class Rescale(nn.Module):
    """Makes a hierarchy of four maps of one resolution: 4, 2, 1 and 1/2 times as fine (BEiT, Bao et al. 2022).

    widths: channels of each map, which are kept. Finer maps come from transposed convolutions, the coarser one from a
    maximum. Fewer maps get the first of these sizes.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = nn.ModuleList(make(width) for make, width in zip((_fourfold, _double, _same, _half), widths))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return maps (B, C_i, 4 H, 4 W), (B, C_i, 2 H, 2 W), ... of maps (B, C_i, H, W)."""
        return [resize(each) for resize, each in zip(self.sizes, maps, strict=True)]


def _fourfold(width: int) -> nn.Module:
    return nn.Sequential(_double(width), nn.BatchNorm2d(width), nn.GELU(), _double(width))


def _double(width: int) -> nn.Module:
    return nn.ConvTranspose2d(width, width, kernel_size=2, stride=2)


def _same(width: int) -> nn.Module:
    return nn.Identity()


def _half(width: int) -> nn.Module:
    return nn.MaxPool2d(kernel_size=2, ceil_mode=True)
