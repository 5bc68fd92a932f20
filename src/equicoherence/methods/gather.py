"""Gather a batch across processes so that gradients equal those of one process on the joined batch."""

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> Tensor:
        gradient = grads[0].contiguous()
        dist.all_reduce(gradient)  # every process's loss depends on every process's rows
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def gather(x: Tensor) -> Tensor:
    """Return the rows of all processes, (world * B, ...), in rank order; ``x`` itself where there is one process.

    The gradient is summed over processes; averaged over them once more by DDP, it is that of the joined batch.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    gathered = _Gather.apply(x)
    assert isinstance(gathered, Tensor)
    return gathered


def rank() -> int:
    """Return this process's rank, 0 where there is one process."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
