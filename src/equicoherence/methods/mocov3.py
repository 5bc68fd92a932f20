"""MoCo v3: find the teacher's projection of the same image among all others (Chen, Xie, He, ICCV 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather, rank


def contrastive_loss(query: Tensor, key: Tensor, temperature: float = 0.2) -> Tensor:
    """Return InfoNCE of this process's queries (B, D) against the keys of all, row i with row i (paper, eq. 1).

    The keys have no gradient. The loss is times 2 * temperature, as published (paper, algorithm 1), so that its
    gradient changes little with the temperature.
    """
    query = F.normalize(query, dim=1)
    keys = gather(F.normalize(key.detach(), dim=1))
    own = rank() * len(query) + torch.arange(len(query), device=query.device)
    return 2 * temperature * F.cross_entropy(query @ keys.T / temperature, own)
