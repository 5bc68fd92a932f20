"""Stochastic depth that saves time: samples whose residual branch is dropped do not go through it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn


class DroppingBlock(Block):
    """A timm block whose branches, in training, see a random subset of the batch: the share ``1 - rate``."""

    rate: float = 0.0

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Transform tokens (B, N, C); ``attn_mask``, if any, must be the same for all samples."""
        if not self.training or self.rate == 0:
            return super().forward(x, attn_mask, is_causal)
        x = add_some(
            x, lambda y: self.ls1(self.attn(self.norm1(y), attn_mask=attn_mask, is_causal=is_causal)), self.rate
        )
        return add_some(x, lambda y: self.ls2(self.mlp(self.norm2(y))), self.rate)


def add_some(x: Tensor, branch: Callable[[Tensor], Tensor], rate: float) -> Tensor:
    """Add ``branch`` of a random subset of the samples (B, ...) to them, scaled so that its expectation is kept.

    The subset has ``round(B * (1 - rate))`` samples, at least one, and is drawn from the device's global generator.
    """
    batch = len(x)
    kept = max(1, round(batch * (1 - rate)))
    if kept >= batch:
        return x + branch(x)
    rows = torch.rand(batch, device=x.device).argsort()[:kept]
    return x.index_add(0, rows, branch(x.index_select(0, rows)).to(x.dtype), alpha=batch / kept)


def drop_samples(model: nn.Module, rate: float, *, uniform: bool = True) -> None:
    """Give the blocks of a timm VisionTransformer stochastic depth by dropping samples, as DINOv2 trains (section 5).

    rate: share of samples that skip a branch, attention and MLP each on its own. ``uniform`` (DINOv2) takes it for all
    blocks; otherwise it rises linearly from 0 in the first block to ``rate`` in the last, as timm's and iBOT's does.
    Parameters, their names and evaluation stay as they are: the blocks change their class alone. Raises TypeError for
    any other model, and ValueError for one that drops paths already.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must lie in [0, 1), got {rate}")
    if not isinstance(model, VisionTransformer):
        raise TypeError(f"samples can be dropped in a timm VisionTransformer only, got {type(model).__name__}")
    for block in model.blocks:
        if type(block) not in (Block, DroppingBlock):
            raise TypeError(f"samples can be dropped in timm's plain Block only, the model has {type(block).__name__}")
        if not isinstance(block.drop_path1, nn.Identity):  # type: ignore[union-attr]
            raise ValueError(f"the model drops paths already ({block.drop_path1}); create it with drop_path_rate=0")
    last = max(1, len(model.blocks) - 1)
    for depth, block in enumerate(model.blocks):
        block.__class__ = DroppingBlock
        block.rate = rate if uniform else rate * depth / last  # type: ignore[assignment]
