"""Images without content: isotropic 1/f noise, as a camera's pixels would see it."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

PARTS = 2  # samples of the scene for each pixel, along each side: a pixel sees their mean
FIELD = 2  # the scene is as many images wide as that: where it comes round again, no image of it reaches
CONTRAST = 0.2  # standard deviation of gray; of pictures it is about that
COLORFUL = 0.3  # standard deviation of each channel's own part, in that of gray


@lru_cache(maxsize=2)
def noise_images(count: int, side: int, seed: int = 0) -> Tensor:
    """Return images (count, 3, side, side), uint8, of isotropic noise, the same ones for the same arguments.

    Its amplitude falls with 1/f, as that of photographs does, down to half a pixel's width, and without a direction:
    the spectrum ends in a disc. Each pixel is the mean of the scene over its square, so the grid leaves in the images
    what a camera's leaves in photographs.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = side * PARTS * FIELD
    frequency = torch.hypot(torch.fft.fftfreq(whole)[:, None], torch.fft.rfftfreq(whole))
    amplitude = 1 / frequency.clamp_min(0.5 / (whole / FIELD))
    amplitude = torch.where((frequency < 0.5) & (frequency > 0), amplitude, 0.0)
    deviation = (amplitude.square().sum() * 2).sqrt()
    images = torch.empty(count, 3, side, side, dtype=torch.uint8)
    for start in range(0, count, FIELD**2):
        scene = torch.randn(4, whole, whole, generator=generator)
        scene = torch.fft.irfft2(torch.fft.rfft2(scene, norm="ortho") * amplitude, norm="ortho")
        scene = F.avg_pool2d(scene[None], PARTS)[0] * (whole / deviation)
        gray = 0.5 + CONTRAST * (scene[:1] + COLORFUL * scene[1:]) / (1 + COLORFUL**2) ** 0.5
        made = gray.clamp(0, 1).mul(255).round().byte()
        parts = made.unflatten(1, (FIELD, side)).unflatten(3, (FIELD, side)).permute(1, 3, 0, 2, 4).flatten(0, 1)
        images[start : start + FIELD**2] = parts[: count - start]
    return images
