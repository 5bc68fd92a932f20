"""A 3x3 convolution of an image enlarged by repeating pixels, computed without enlarging it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UpsampledConv(nn.Conv2d):
    """``conv(F.interpolate(x, scale_factor=factor))``, nearest, as one convolution of the small image.

    An output pixel reads 3x3 pixels of the enlarged image, but these repeat at most 2x2 of the small one: each of the
    factor^2 places within a small pixel has a kernel of its own, sums of the 3x3 weights, and the places become
    channels that are shuffled into pixels. The same function of the same parameters; four to twenty times faster where
    there are few output channels, for which convolution kernels are slow.
    """

    phases: Tensor

    def __init__(self, inputs: int, outputs: int, factor: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, padding=1, groups=groups)
        self.factor = factor
        phases = torch.zeros(factor, 3, 3)  # place, small pixel (-1, 0, 1), tap
        for place in range(factor):
            for tap in range(3):
                phases[place, (place + tap - 1) // factor + 1, tap] = 1
        self.register_buffer("phases", phases, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return (B, outputs, factor * h, factor * w) of images (B, inputs, h, w)."""
        input = input.contiguous(memory_format=torch.channels_last)
        if self.factor == 1:
            return super().forward(input)
        phases = self.phases.to(self.weight.dtype)
        kernels = torch.einsum("oist,pas,qbt->opqiab", self.weight, phases, phases).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(self.factor**2)
        return F.pixel_shuffle(F.conv2d(input, kernels, bias, padding=1, groups=self.groups), self.factor)
