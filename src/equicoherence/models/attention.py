"""Attention on a CPU in half precision: as products and a softmax, where torch's fused kernel is slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 512  # tokens: the weights of attention to more of them fill the memory


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(Q K^T / sqrt(C)) V of queries (B, H, Q, C), keys and values (B, H, M, C).

    Of few tokens on a CPU in plain products: there torch's fused attention is slow in bfloat16, above all its gradient,
    and no faster in float32.
    """
    if query.device.type != "cpu" or key.shape[2] > FEW:
        return F.scaled_dot_product_attention(query, key, value)
    weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    return weights.softmax(dim=-1, dtype=value.dtype) @ value


def unfuse_where_slow(model: nn.Module) -> None:
    """Make the attention of timm's models choose at each call whether it is fused: not where that is slow.

    The gradient of torch's fused attention is slow on a CPU in half precision; products and a softmax take about half
    of the time (benchmarks/vit_on_cpu.py). Parameters, names and results are the same, up to rounding; calls without a
    gradient, in float32, to many tokens or on another device stay fused.
    """
    for attention in _fusible(model):
        attention.register_forward_pre_hook(_choose)


def unfuse(model: nn.Module) -> None:
    """Make no attention of timm's models fused, at any call: for a model that is compiled, and cannot choose."""
    for attention in _fusible(model):
        attention.fused_attn = False


def _fusible(model: nn.Module) -> Iterator[Any]:
    yield from (module for module in model.modules() if isinstance(getattr(module, "fused_attn", None), bool))


def _choose(attention: Any, given: tuple[Any, ...]) -> None:
    attention.fused_attn = not _is_slow(given[0])


def _is_slow(tokens: Tensor) -> bool:
    """Return whether fused attention to these tokens (B, N, C) would be trained on a CPU in half precision."""
    if tokens.device.type != "cpu" or not torch.is_grad_enabled() or tokens.shape[1] > FEW:
        return False
    return torch.is_autocast_enabled("cpu") or tokens.dtype in (torch.bfloat16, torch.float16)
