"""Memory for large outputs."""

from __future__ import annotations

import math
import mmap

import torch
from torch import Tensor

LARGE = 2**25  # bytes from which the C library asks the system for fresh pages each time


def empty_pixels(*shape: int, device: torch.device) -> Tensor:
    """Return an uninitialised float32 tensor.

    A large one on a Linux CPU lies in huge pages: touching fresh pages of 4 KiB one by one would cost a fifth of the
    time of rendering them. The memory goes back to the system with the tensor, as always.
    """
    size = 4 * math.prod(shape)
    if device.type != "cpu" or size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(shape, device=device)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.float32).view(shape)
