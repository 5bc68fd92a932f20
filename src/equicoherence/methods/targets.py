"""Probabilities from the teacher's logits over prototypes, balanced so that no prototype dominates.

Centring is DINO's (Caron et al., ICCV 2021); Sinkhorn-Knopp is SwAV's (NeurIPS 2020), as in DINOv2.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.methods.gather import gather, mean_over_processes

Centring = Literal["ema", "sinkhorn"]
WATCHED = 256  # rows that the signs of a collapse are read from


class Targets(nn.Module):
    """Turn the teacher's logits (..., K) into probabilities, in float32; no gradient goes through.

    centring: "ema" subtracts a running centre, which moves in training only, after the targets are made (DINO's
    order), on all processes alike; "sinkhorn" is Sinkhorn-Knopp over all rows at once. momentum: of the centre.
    watched: mean entropy of the last rows, and entropy of their mean, in nats: the signs of a collapse.
    """

    centre: Tensor | None
    watched: Tensor

    def __init__(self, prototypes: int, centring: Centring = "ema", momentum: float = 0.9) -> None:
        super().__init__()
        if centring not in ("ema", "sinkhorn"):
            raise ValueError(f"centring {centring!r} is unknown; choose ema or sinkhorn")
        self.momentum = momentum
        self.prototypes = prototypes
        self.register_buffer("centre", torch.zeros(prototypes) if centring == "ema" else None)
        self.register_buffer("watched", torch.zeros(2), persistent=False)

    def forward(self, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """Return probabilities of the shape of the logits."""
        with torch.no_grad(), torch.autocast(teacher_logits.device.type, enabled=False):
            logits = teacher_logits.float()
            if self.centre is None:
                probabilities = sinkhorn_knopp(logits.flatten(0, -2), temperature).view_as(logits)
            else:
                probabilities = centred(logits, self.centre, temperature)
            if self.training:
                if self.centre is not None:
                    self.centre.copy_(update_centre(self.centre, logits, self.momentum))
                rows = probabilities.flatten(0, -2)[:WATCHED]
                self.watched.copy_(torch.stack([_entropy(rows).mean(), _entropy(rows.mean(dim=0))]))
            return probabilities


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(dim=-1)


@torch.no_grad()
def centred(teacher_logits: Tensor, centre: Tensor, temperature: float | Tensor) -> Tensor:
    """Return the teacher's probabilities (..., K): softmax of the logits less ``centre`` (K,), over temperature."""
    return F.softmax((teacher_logits - centre) / temperature, dim=-1)


@torch.no_grad()
def update_centre(centre: Tensor, teacher_logits: Tensor, momentum: float = 0.9) -> Tensor:
    """Return momentum * centre + (1 - momentum) * mean of the logits (..., K) of all processes (DINO, eq. 4).

    Each row weighs the same, however many each process has; where none has any, the centre stays.
    """
    rows = teacher_logits.flatten(0, -2)
    sums = torch.cat([rows.sum(dim=0), rows.new_full((1,), len(rows))])
    total, count = mean_over_processes(sums).split([len(centre), 1])
    mean = torch.where(count > 0, total / count, centre)
    return momentum * centre + (1 - momentum) * mean


@torch.no_grad()
def sinkhorn_knopp(teacher_logits: Tensor, temperature: float | Tensor, iterations: int = 3) -> Tensor:
    """Return the teacher's probabilities (M, K) that use all prototypes alike over the rows of all processes.

    ``iterations`` times, at least once, exp(logits / temperature) is scaled to equal sums per prototype, then to
    rows that sum to 1 (SwAV, section 3.1). M may differ between processes.
    """
    logits = teacher_logits / temperature
    # the first round in logarithms: exp of a logit over .04 may overflow; after it, no sum can vanish
    per_prototype = gather(logits.logsumexp(dim=0, keepdim=True)).logsumexp(dim=0)
    probabilities = F.softmax(logits - per_prototype, dim=1)
    for _ in range(iterations - 1):  # the mean serves as well as the sum: rows are scaled last
        probabilities /= mean_over_processes(probabilities.sum(dim=0))
        probabilities /= probabilities.sum(dim=1, keepdim=True)
    return probabilities
