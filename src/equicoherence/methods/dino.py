"""DINO: agree with the teacher on a distribution over prototypes (Caron et al., ICCV 2021).

Sinkhorn-Knopp in the centring's place is SwAV's (Caron et al., NeurIPS 2020), as in DINOv2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather, mean_over_processes


@torch.no_grad()
def centred(teacher_logits: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """Return the teacher's probabilities (..., K): softmax of the logits less ``centre`` (K,), over temperature."""
    return F.softmax((teacher_logits - centre) / temperature, dim=-1)


@torch.no_grad()
def update_centre(centre: Tensor, teacher_logits: Tensor, momentum: float = 0.9) -> Tensor:
    """Return momentum * centre + (1 - momentum) * mean of the logits (..., K) of all processes (paper, eq. 4).

    Each row weighs the same, however many each process has; where none has any, the centre stays.
    """
    rows = teacher_logits.flatten(0, -2)
    sums = torch.cat([rows.sum(dim=0), rows.new_full((1,), len(rows))])
    total, count = mean_over_processes(sums).split([len(centre), 1])
    mean = torch.where(count > 0, total / count, centre)
    return momentum * centre + (1 - momentum) * mean


@torch.no_grad()
def sinkhorn_knopp(teacher_logits: Tensor, temperature: float, iterations: int = 3) -> Tensor:
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


def cross_entropy(student_logits: Tensor, teacher_probabilities: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the cross entropy (...) of the student's softmax, of logits (..., K), for the teacher's probabilities."""
    return -(teacher_probabilities * F.log_softmax(student_logits / temperature, dim=-1)).sum(dim=-1)


def dino_loss(student_logits: Tensor, teacher_probabilities: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the mean cross entropy over pairs of a teacher view and another student view (paper, eq. 3).

    Student (V, B, K), the teacher's T views first, then local crops; teacher (T, B, K), T = 2 as published.
    """
    views, teachers = len(student_logits), len(teacher_probabilities)
    log_student = F.log_softmax(student_logits / temperature, dim=-1)
    others = log_student.sum(dim=0) - log_student[:teachers]  # the teacher is the same for all: sum them first
    return -(teacher_probabilities * others).sum(dim=-1).mean() / (views - 1)
