"""Gaussian blur with one standard deviation per sample."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

VISIBLE = 0.05  # below this sigma the kernel's side taps are under 1e-80
STEP = 3  # a CPU rounds radii up to multiples of this, and batches up to multiples of 4: convolutions are compiled at
# the first use of each shape, so there should be few


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
    """Blur (B, 3, H, W) by ``sigma`` (B,) pixels, reflecting at the border; may write to ``pixels``.

    ``bound`` is a number that no sigma exceeds; it fixes the kernel size of an accelerator without reading
    ``sigma`` back. On a CPU, where reading is free, only the samples with a visible blur are
    touched, those of like radius together.
    """
    if pixels.device.type != "cpu":
        return _convolved(pixels, sigma, radius_for(bound))
    chosen = (sigma > VISIBLE).nonzero().flatten()
    if len(chosen) == 0:
        return pixels
    chosen = chosen[sigma[chosen].argsort()]
    for block in chosen.split(16 if pixels[0].numel() < 2**16 else 4):  # small images need many for full vectors
        filled = torch.cat([block, block[-1:].expand(-len(block) % 4)])
        radius = math.ceil(radius_for(float(sigma[block[-1]])) / STEP) * STEP
        blurred = _convolved(pixels.index_select(0, filled), sigma[filled], radius).contiguous()
        for row, image in zip(block.tolist(), blurred):  # faster than index_copy_, which goes value by value
            pixels[row] = image
    return pixels


def _convolved(pixels: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur by two depthwise convolutions."""
    batch, channels, height, width = pixels.shape
    radius = min(radius, height - 1, width - 1)  # reflection needs that many pixels
    groups = batch * channels
    weights = kernel(sigma, radius).repeat_interleave(channels, dim=0)
    padded = F.pad(pixels, [radius] * 4, mode="reflect").view(1, groups, height + 2 * radius, width + 2 * radius)
    if pixels.device.type == "cpu":
        padded = padded.contiguous(memory_format=torch.channels_last)  # two to five times faster there
    rows = F.conv2d(padded, weights.view(groups, 1, 1, -1), groups=groups)
    return F.conv2d(rows, weights.view(groups, 1, -1, 1), groups=groups).view(batch, channels, height, width)
