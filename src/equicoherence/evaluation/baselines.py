"""Encoders without weights: baselines that every trained encoder should beat.

`thumbnail` is the image itself, small. `spectrum` has no positions, but shows the traces of a rotation in the pixel
grid of a photograph, and the directions of its edges.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.errors import unknown
from equicoherence.evaluation.module_encoder import ModuleEncoder
from equicoherence.models.prefixes import BASELINE

SIDE = 16  # of the thumbnail, and the most of either axis of the spectrum
SIZE = 64  # px of the images, where nothing is said
FAINT = 1e-6  # power that is added, so that the logarithm of nothing is finite


class Thumbnail(nn.Module):
    """The image itself, averaged to 16 x 16 pixels."""

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, 768) of images (B, 3, S, S)."""
        return F.adaptive_avg_pool2d(images, SIDE).flatten(1)


class Spectrum(nn.Module):
    """The logarithm of the image's power at each frequency, averaged over at most 32 x 16 of them.

    The image is grey, its mean is taken off and its border faded out (Hann), so that the border has no spectrum.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C) of images (B, 3, S, S)."""
        size = images.shape[-1]
        window = torch.hann_window(size, periodic=False, device=images.device)
        grey = images.mean(dim=1)
        faded = (grey - grey.mean(dim=(1, 2), keepdim=True)) * window * window[:, None]
        power = torch.fft.rfft2(faded, norm="ortho").abs().square()
        centred = torch.fft.fftshift(power, dim=1)
        bins = min(2 * SIDE, centred.shape[1]), min(SIDE, centred.shape[2])
        return F.adaptive_avg_pool2d(centred[:, None], bins).flatten(1).add(FAINT).log()


BASELINES: dict[str, type[nn.Module]] = {"thumbnail": Thumbnail, "spectrum": Spectrum}


def check_baseline(name: str) -> None:
    """Raise ValueError for an unknown baseline."""
    if name not in BASELINES:
        raise unknown("baseline", name, BASELINES)


def baseline(name: str, size: int) -> ModuleEncoder:
    """Return a baseline by its name, for images of a size; ValueError for an unknown one."""
    check_baseline(name)
    encoder = ModuleEncoder(BASELINES[name](), size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    encoder.name = encoder.architecture = BASELINE + name
    return encoder
