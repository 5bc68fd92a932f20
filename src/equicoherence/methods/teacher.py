"""The teacher of a self-distillation method: a copy of the student that follows it slowly."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from equicoherence.methods.schedules import cosine
from equicoherence.models import Encoder

M = TypeVar("M", bound=nn.Module)


def frozen_copy(module: M) -> M:
    """Return a copy that no gradient reaches."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's parameters to ``momentum * teacher + (1 - momentum) * student``; buffers are copied.

    Parameters of the student that are not trained are the teacher's from the beginning.
    """
    trained = [(own, other) for own, other in zip(teacher.parameters(), student.parameters()) if other.requires_grad]
    if trained:
        torch._foreach_lerp_(*map(list, zip(*trained)), 1 - momentum)  # type: ignore[arg-type]
    for own, other in zip(teacher.buffers(), student.buffers()):
        own.copy_(other)


def teacher_mode(teacher: nn.Module, training: bool) -> None:
    """Drop nothing, ever; in training, normalise by the batch's own statistics, as BYOL's and MoCo v3's teachers do.

    BatchNorm layers that stand still in the student (`Encoder.still`) do so here.
    """
    teacher.eval()
    for module in teacher.modules():
        if isinstance(module, _BatchNorm):
            module.training = training
    for module in teacher.modules():
        if isinstance(module, Encoder):
            module.hold_still()


def cosine_momentum(base: float, step: int, total_steps: int) -> float:
    """Return the momentum of a 0-based step, from ``base`` to 1: ``1 - (1 - base) (cos(pi k / K) + 1) / 2`` (BYOL)."""
    return cosine(base, 1.0, step, total_steps)
