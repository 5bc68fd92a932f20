"""DINOv2: DINO, iBOT and KoLeo together (Oquab et al., TMLR 2024)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def koleo_loss(x: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Return minus the mean log distance of the normalised rows of x (B, D), B > 1, to their nearest neighbours.

    Neighbours are sought in this process's batch only, as published: Sablayrolles et al., ICLR 2019, eq. 2.
    """
    x = F.normalize(x, dim=1, eps=epsilon)
    with torch.no_grad():
        nearest = (x @ x.T).fill_diagonal_(-2).argmax(dim=1)
    distance = F.pairwise_distance(x, x[nearest], eps=epsilon)
    return -(distance + epsilon).log().mean()
