"""Gaussian blur with one standard deviation per sample."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def kernel(sigma: Tensor, radius: int) -> Tensor:
    """Return (B, 2 * radius + 1) normalised Gaussian kernels; ``sigma`` (B,) in pixels, 0 gives the identity.

    Each is cut off at three of its own standard deviations (rounded up), so a larger ``radius`` changes nothing.
    """
    offsets = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]) ** 2)
    weights = weights * (offsets.abs() <= torch.ceil(3 * sigma)[:, None])
    return weights / weights.sum(dim=1, keepdim=True)


def radius_for(bound: float) -> int:
    """Return the kernel radius that holds three standard deviations of ``bound`` pixels."""
    return max(1, math.ceil(3 * bound))


def gaussian_blur(pixels: Tensor, sigma: Tensor, bound: float) -> Tensor:
    """Blur (B, 3, H, W) by ``sigma`` (B,) pixels, reflecting at the border.

    ``bound`` is a number that no sigma exceeds; it fixes the kernel size without reading ``sigma`` back.
    """
    radius = radius_for(bound)
    return _convolved(pixels, kernel(sigma, radius))


def _convolved(pixels: Tensor, weights: Tensor) -> Tensor:
    """Filter rows and columns of (B, 3, H, W) with weights (B, 2 * radius + 1)."""
    batch, channels, height, width = pixels.shape
    radius, reach = weights.shape[1] // 2, min(weights.shape[1] // 2, height - 1, width - 1)
    if reach < radius:  # reflection needs that many pixels
        weights = weights[:, radius - reach : radius + reach + 1]
        weights = weights / weights.sum(dim=1, keepdim=True)
    groups = batch * channels
    weights = weights.repeat_interleave(channels, dim=0)
    padded = F.pad(pixels, [reach] * 4, mode="reflect").view(1, groups, height + 2 * reach, width + 2 * reach)
    if pixels.device.type == "cpu":
        padded = padded.contiguous(memory_format=torch.channels_last)  # two to five times faster there
    rows = F.conv2d(padded, weights.view(groups, 1, 1, -1), groups=groups)
    return F.conv2d(rows, weights.view(groups, 1, -1, 1), groups=groups).view(batch, channels, height, width)
