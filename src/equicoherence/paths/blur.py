"""Gaussian blur with one standard deviation per sample."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def kernel(sigma: Tensor, radius: int) -> Tensor:
    """Return (B, 2 * radius + 1) normalised Gaussian kernels; ``sigma`` (B,) in pixels, 0 gives the identity."""
    offsets = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


def radius_for(bound: float) -> int:
    """Return the kernel radius that holds three standard deviations of ``bound`` pixels."""
    return max(1, math.ceil(3 * bound))


def gaussian_blur(pixels: Tensor, sigma: Tensor, bound: float) -> Tensor:
    """Blur (B, 3, H, W) by ``sigma`` (B,) pixels, reflecting at the border.

    ``bound`` is a number that no sigma exceeds; it fixes the kernel size without reading ``sigma`` back from the device.
    On a CPU, where reading is free, only the samples with a visible blur are touched, in place.
    """
    if pixels.device.type == "cpu":
        chosen = (sigma > 0.05).nonzero().flatten()  # below, the kernel's side taps are under 1e-80
        if len(chosen) == 0:
            return pixels
        bound = min(bound, float(sigma.max()))
        if len(chosen) < len(pixels):
            return pixels.index_copy_(0, chosen, _separable(pixels[chosen], sigma[chosen], radius_for(bound)))
    return _separable(pixels, sigma, radius_for(bound))


def _separable(pixels: Tensor, sigma: Tensor, radius: int) -> Tensor:
    batch, channels, height, width = pixels.shape
    radius = min(radius, height - 1, width - 1)  # reflection needs that many pixels
    weights = kernel(sigma, radius).repeat_interleave(channels, dim=0)
    groups = batch * channels
    padded = F.pad(pixels, [radius] * 4, mode="reflect").view(1, groups, height + 2 * radius, width + 2 * radius)
    rows = F.conv2d(padded, weights.view(groups, 1, 1, -1), groups=groups)
    return F.conv2d(rows, weights.view(groups, 1, -1, 1), groups=groups).view(batch, channels, height, width)
