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
    """Make timm's attention that is fused choose at each call whether it is: not where that is slow.

    The gradient of torch's fused attention is slow on a CPU in half precision; products and a softmax take about half
    of its time, of up to 500 tokens. Parameters, names and results are the same, up to rounding. What is not trained,
    in float32, or has more tokens, or maps in place of tokens, stays fused, as on other devices.
    """
    for attention in _fusible(model):
        if _choose not in attention._forward_pre_hooks.values():
            attention.register_forward_pre_hook(_choose)


def unfuse(model: nn.Module) -> None:
    """Make no attention of timm's models fused, at any call: for a model that is compiled, and cannot choose."""
    for attention in _fusible(model):
        attention.fused_attn = False


def _fusible(model: nn.Module) -> Iterator[Any]:
    return (module for module in model.modules() if getattr(module, "fused_attn", None) is True)


def _choose(attention: Any, given: tuple[Any, ...]) -> None:
    attention.fused_attn = not (given and _is_slow(given[0], attention))


def _is_slow(tokens: Tensor, attention: nn.Module) -> bool:
    """Return whether fused attention to these tokens (B, N, C) would be trained on a CPU in half precision."""
    if tokens.device.type != "cpu" or tokens.ndim != 3 or tokens.shape[1] > FEW or not torch.is_grad_enabled():
        return False
    if not (torch.is_autocast_enabled("cpu") or tokens.dtype in (torch.bfloat16, torch.float16)):
        return False
    return tokens.requires_grad or any(parameter.requires_grad for parameter in attention.parameters())
