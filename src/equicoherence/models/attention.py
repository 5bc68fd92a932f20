"""Attention on a CPU in half precision: as products and a softmax, where torch's fused kernel is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

FEW = 512  # tokens: the weights of attention to more of them fill the memory


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(Q K^T / sqrt(C)) V of queries (B, H, Q, C), keys and values (B, H, M, C).

    Of few tokens on a CPU in plain products: there torch's fused attention is slow in bfloat16, above all its gradient,
    and no faster in float32. The softmax is in float32: rounded, the weights of a query would not add up to 1, and its
    gradient would be mostly error where values are nearly alike.
    """
    if query.device.type != "cpu" or key.shape[2] > FEW:
        return F.scaled_dot_product_attention(query, key, value)
    weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    return weights.softmax(dim=-1, dtype=torch.promote_types(value.dtype, torch.float32)).to(value.dtype) @ value


@contextmanager
def plain_attention() -> Iterator[None]:
    """Let every model compute attention by `attend`, and what that is not for (masks, dropout) by torch's math kernel.

    For a CPU in half precision. The math kernel's softmax is in float32, too; of few tokens it takes longer.
    """
    with sdpa_kernel(SDPBackend.MATH), _Attending():
        yield


class _Attending(TorchFunctionMode):
    """Calls `attend` where torch's attention of queries, keys and values alone is asked for."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and len(args) == 3 and not any(_given(kwargs)):
            return attend(*args)
        return func(*args, **kwargs)


def _given(kwargs: dict[str, Any]) -> Iterator[bool]:
    for value in kwargs.values():
        yield isinstance(value, Tensor) or bool(value)
