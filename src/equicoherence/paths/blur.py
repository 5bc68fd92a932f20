"""Gaussian blur with one standard deviation per sample."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

VISIBLE = 0.05  # below this sigma the kernel's side taps are under 1e-80
STEP = 3  # a CPU rounds radii up to multiples of this: convolutions are compiled at the first use of each shape


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


def visible(sigma: Tensor) -> Tensor:
    """Return the indices of visible blurs among ``sigma`` (B,), in order of their sigma."""
    return (sigma > VISIBLE).nonzero().flatten()[sigma[sigma > VISIBLE].argsort(stable=True)]


def blur_some(pixels: Tensor, chosen: Tensor, sigma: Tensor, out: Tensor) -> None:
    """Write to ``out`` (M, 3, H, W) the images ``chosen`` (M,) of ``pixels``, blurred by rising ``sigma`` (M,) pixels.

    For a CPU: a few images at a time, those of like radius together, with kernels no larger than these need.
    """
    if len(chosen) == 0:
        return
    radii = [math.ceil(radius_for(value) / STEP) * STEP for value in sigma.tolist()]
    kernels, largest = kernel(sigma, radii[-1]), radii[-1]
    together = 16 if out[0].numel() < 2**16 else 4  # small images need many channels to fill the vectors
    for start in range(0, len(chosen), together):
        rows = slice(start, start + together)
        spare = largest - radii[rows][-1]
        weights = kernels[rows, spare : 2 * largest + 1 - spare]
        out[rows] = _convolved(pixels.index_select(0, chosen[rows]), weights)


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
