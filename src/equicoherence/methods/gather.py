"""Join a batch across processes so that gradients equal those of one process on the joined batch.

Gradients are those of the sum of all processes' losses; averaged by DDP, they are those of the joined batch.
"""

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
        gradient = _sum_over_processes(grads[0])  # every process's loss depends on every process's rows
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return _sum_over_processes(x) / dist.get_world_size()

    @staticmethod
    def backward(ctx, *grads: Tensor) -> Tensor:
        return _sum_over_processes(grads[0]) / dist.get_world_size()


def _sum_over_processes(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)  # a gradient may be another node's too: leave it as it is
    dist.all_reduce(total)
    return total


def gather(x: Tensor) -> Tensor:
    """Return the rows of all processes, (world * B, ...), in rank order; ``x`` itself where there is one process."""
    if world_size() == 1:
        return x
    gathered = _Gather.apply(x)
    assert isinstance(gathered, Tensor)
    return gathered


def mean_over_processes(x: Tensor) -> Tensor:
    """Return the mean of ``x``, of one shape everywhere, over processes; ``x`` itself where there is one process."""
    if world_size() == 1:
        return x
    mean = _Mean.apply(x)
    assert isinstance(mean, Tensor)
    return mean


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's rank, 0 where there is one process."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
