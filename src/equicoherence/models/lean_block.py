"""A vision transformer block that skips dropped samples, and tokens that are not used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn


class LeanBlock(Block):
    """A timm block whose parameters, names and results are the plain block's.

    rate: in training, each branch sees a random subset of the batch, the share ``1 - rate``. first_only: give the first
    token alone, (B, 1, C); its MLP then sees that token alone.
    """

    rate: float = 0.0
    first_only: bool = False

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Transform tokens (B, N, C); ``attn_mask``, if any, must be the same for all samples."""
        rate = self.rate if self.training else 0.0
        if rate == 0 and not self.first_only:
            return super().forward(x, attn_mask, is_causal)
        read = 1 if self.first_only else x.shape[1]

        def attend(y: Tensor) -> Tensor:
            attended = self.attn(self.norm1(y), attn_mask=attn_mask, is_causal=is_causal)[:, :read]
            return self.drop_path1(self.ls1(attended))

        x = add_some(x[:, :read], x, attend, rate)
        return add_some(x, x, lambda y: self.drop_path2(self.ls2(self.mlp(self.norm2(y)))), rate)


def add_some(base: Tensor, x: Tensor, branch: Callable[[Tensor], Tensor], rate: float) -> Tensor:
    """Return base (B, ...) plus ``branch`` of a random subset of the samples of x (B, ...).

    The branch is scaled so that its expectation is kept. The subset has ``round(B * (1 - rate))`` samples, at least
    one, and is drawn from the device's global generator.
    """
    batch = len(x)
    kept = max(1, round(batch * (1 - rate)))
    if kept >= batch:
        return base + branch(x)
    rows = torch.rand(batch, device=x.device).argsort()[:kept]
    return base.index_add(0, rows, branch(x.index_select(0, rows)).to(base.dtype), alpha=batch / kept)


def drop_samples(model: nn.Module, rate: float, *, uniform: bool = True) -> None:
    """Give the blocks of a timm VisionTransformer stochastic depth by dropping samples, as DINOv2 trains (section 5).

    rate: share of samples that skip a branch, attention and MLP each on its own. ``uniform`` (DINOv2) takes it for all
    blocks; otherwise it rises linearly from 0 in the first block to ``rate`` in the last, as timm's and iBOT's does.
    Raises TypeError for any other model, and ValueError for one that drops paths already.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must lie in [0, 1), got {rate}")
    if not isinstance(model, VisionTransformer):
        raise TypeError(f"samples can be dropped in a timm VisionTransformer only, got {type(model).__name__}")
    for block in model.blocks:
        if type(block) not in (Block, LeanBlock):
            raise TypeError(f"samples can be dropped in timm's plain Block only, the model has {type(block).__name__}")
        if not isinstance(block.drop_path1, nn.Identity):  # type: ignore[union-attr]
            raise ValueError(f"the model drops paths already ({block.drop_path1}); create it with drop_path_rate=0")
    last = max(1, len(model.blocks) - 1)
    for depth, block in enumerate(model.blocks):
        lean(block).rate = rate if uniform else rate * depth / last


def lean(block: Any) -> LeanBlock:
    """Make a timm Block lean where it stands: it changes its class alone."""
    block.__class__ = LeanBlock
    return block


def lean_last(model: nn.Module) -> LeanBlock | None:
    """Return a vision transformer's last block, made lean; None for models whose last block is none of timm's."""
    if not isinstance(model, VisionTransformer) or type(model.blocks[-1]) not in (Block, LeanBlock):
        return None
    return lean(model.blocks[-1])
