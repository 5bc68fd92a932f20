"""The linear head of DINOv2's depth protocol: a distribution over 256 depths at each position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.downstream.tokens import Tokens

BINS = 256
UPSAMPLE = 4
"""Places to a patch token, along each axis."""
START = 10.0
"""How much more weight the depths of the training images have at the start than all bins have whatever their logits."""
LEAST = 0.1
"""What each bin gets whatever its logit, so that a place whose logits are all negative has a depth."""


def expected_depth(logits: Tensor, limits: tuple[float, float]) -> Tensor:
    """Return the mean (...) of evenly spaced depths from limit to limit, weighted by logits (..., bins).

    A weight is the logit, if that is above 0, plus 0.1; weights are divided by their sum ("linear normalisation").
    """
    weights = logits.relu() + LEAST
    depths = torch.linspace(*limits, logits.shape[-1], device=logits.device)
    sums = weights @ torch.stack([depths, torch.ones_like(depths)], dim=1)  # both sums in one pass
    return sums[..., 0] / sums[..., 1]


class DepthHead(nn.Module):
    """A linear layer on patch tokens, beside each the class token where there is one; logits enlarged 4 times.

    tokens: those of some training images: each channel is first brought to the mean 0 and variance 1 that it has there
    (DINOv2 takes tokens as they come, its encoders being of one kind). depths: of training images, any shape, those
    above 0 count: their histogram is where the biases start, as few steps do not lead there from half the greatest
    depth, where DINOv2's 38,400 start. limits: least and greatest depth.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, tokens: Tokens, depths: Tensor, limits: tuple[float, float], generator: torch.Generator) -> None:
        super().__init__()
        self.limits = limits
        parts = [tokens.patches.flatten(0, 2)] + ([] if tokens.cls is None else [tokens.cls])
        mean = torch.cat([part.float().mean(dim=0) for part in parts])
        variance = torch.cat([part.float().var(dim=0, correction=0) for part in parts])
        self.register_buffer("mean", mean)
        # a channel that hardly changes must not become noise
        self.register_buffer("scale", (variance + 1e-3 * variance.mean() + 1e-12).rsqrt())
        counts = depths[depths > 0].histc(BINS, *limits)
        self.weight = nn.Parameter(0.01 * torch.randn(BINS, len(mean), generator=generator))
        self.bias = nn.Parameter(START * BINS * LEAST * counts / counts.sum())
        self.to(mean.device)

    def forward(self, patches: Tensor, cls: Tensor | None) -> Tensor:
        """Return depths (B, 4 h, 4 w) of patch tokens (B, h, w, C) and class tokens (B, C) or None."""
        if cls is not None:
            patches = torch.cat([patches, cls[:, None, None].expand_as(patches)], dim=-1)
        logits = F.linear((patches.float() - self.mean) * self.scale, self.weight, self.bias).permute(0, 3, 1, 2)
        logits = F.interpolate(logits, scale_factor=UPSAMPLE, mode="bilinear")
        return expected_depth(logits.permute(0, 2, 3, 1), self.limits)
