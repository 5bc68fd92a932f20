"""Exact nearest neighbours in a large memory, searched block by block."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.downstream.largest import top

BLOCK = 16_384
"""Entries of the memory that are compared at once."""


def nearest(queries: Tensor, memory: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest products (Q, k) of queries with entries of a memory, largest first, and their places.

    queries: (Q, C) float32. memory: (M, C) of any precision, on any device; a block of it is moved to that of the
    queries at a time. Fewer than ``k`` entries are all returned.
    """
    values = queries.new_empty(len(queries), 0)
    places = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
    for start in range(0, len(memory), BLOCK):
        block = memory[start : start + BLOCK].to(queries.device).float()
        best, where = top(queries @ block.T, min(k, len(block)))
        values, places = torch.cat([values, best], dim=1), torch.cat([places, where + start], dim=1)
        values, order = values.topk(min(k, values.shape[1]))
        places = places.gather(1, order)
    return values, places
