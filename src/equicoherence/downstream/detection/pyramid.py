"""ViTDet's simple feature pyramid: four maps from an encoder's last one (Li et al. 2022, section 3)."""

from __future__ import annotations

from collections import OrderedDict

from timm.layers import LayerNorm2d
from torch import Tensor, nn


class SimpleFeaturePyramid(nn.Module):
    """Maps "0" to "3" at 4, 2, 1 and 1/2 times the resolution of one map (B, width, h, w), each of ``channels``.

    Enlarged by transposed convolutions, halved by max-pooling; then a 1x1 and a 3x3 convolution, each with LayerNorm
    over channels. h and w must be even.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.out_channels = channels  # where torchvision's detectors look
        half, quarter = max(width // 2, 1), max(width // 4, 1)
        resized = [
            (quarter, [_double(width, half), LayerNorm2d(half), nn.GELU(), _double(half, quarter)]),
            (half, [_double(width, half)]),
            (width, []),
            (width, [nn.MaxPool2d(2)]),
        ]
        self.levels = nn.ModuleList(
            nn.Sequential(
                *steps,
                nn.Conv2d(given, channels, 1, bias=False),
                LayerNorm2d(channels),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                LayerNorm2d(channels),
            )
            for given, steps in resized
        )

    def forward(self, last: Tensor) -> OrderedDict[str, Tensor]:
        """Return the four maps, finest first, under the names that torchvision's detectors look for."""
        return OrderedDict((str(number), level(last)) for number, level in enumerate(self.levels))


def _double(given: int, channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(given, channels, 2, stride=2)
