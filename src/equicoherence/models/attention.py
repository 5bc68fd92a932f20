"""Attention on a CPU in half precision: as products and a softmax, where torch's fused kernel is slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

DEFAULTS = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False}
TORCHS = F.scaled_dot_product_attention
FEW = 512  # tokens: the weights of attention to more of them fill the memory


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(Q K^T / sqrt(C)) V of queries (B, H, Q, C), keys and values (B, H, M, C).

    Of few tokens on a CPU in plain products: there torch's fused attention is slow in bfloat16, above all its gradient,
    and no faster in float32. The softmax is in float32: rounded, the weights of a query would not add up to 1, and its
    gradient would be mostly error where values are nearly alike.
    """
    if query.device.type != "cpu" or key.shape[-2] > FEW:
        return TORCHS(query, key, value)
    weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    return weights.softmax(dim=-1, dtype=torch.promote_types(value.dtype, torch.float32)).to(value.dtype) @ value


@contextmanager
def plain_attention() -> Iterator[None]:
    """Let every model compute attention by `attend`, and what that is not for (masks, dropout) by torch's math kernel.

    For a CPU in half precision. The math kernel's softmax is in float32, too; of few tokens it takes longer. Torch's
    function is replaced for a while: a mode of torch would be off in the backward, where checkpointed layers are
    computed once more.
    """
    before = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = _attention
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        F.scaled_dot_product_attention = before


def _attention(*args: Any, **kwargs: Any) -> Tensor:
    """Compute attention of queries, keys and values alone by `attend`, all other by torch."""
    plain = len(args) == 3 and args[0].ndim == 4 and _is_plain(kwargs)
    return attend(*args) if plain else TORCHS(*args, **kwargs)


def _is_plain(asked: dict[str, Any]) -> bool:
    """Return whether what torch's function is asked for, beside its inputs, is what it does by default."""
    return all(not isinstance(value, Tensor) and value == DEFAULTS.get(name, ...) for name, value in asked.items())
