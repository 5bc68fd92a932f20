"""The teacher of a self-distillation method: a moving average of the student."""

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
    """Return a copy without gradients."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Set the teacher's parameters to ``momentum * teacher + (1 - momentum) * student``; buffers are copied.

    Student parameters that are not trained are equal in the teacher from the start.
    """
    trained = [(own, other) for own, other in zip(teacher.parameters(), student.parameters()) if other.requires_grad]
    if trained:
        torch._foreach_lerp_(*map(list, zip(*trained)), 1 - momentum)  # type: ignore[arg-type]
    for own, other in zip(teacher.buffers(), student.buffers()):
        own.copy_(other)


def teacher_mode(teacher: nn.Module, training: bool) -> None:
    """Never use dropout; in training, normalise by batch statistics, as the teachers of BYOL and MoCo v3.

    BatchNorm layers that are frozen in the student (`Encoder.frozen`) are frozen here.
    """
    teacher.eval()
    for module in teacher.modules():
        if isinstance(module, _BatchNorm):
            module.training = training
    for module in teacher.modules():
        if isinstance(module, Encoder):
            module.eval_frozen()


def cosine_momentum(base: float, step: int, total_steps: int) -> float:
    """Return the momentum of a 0-based step, from ``base`` to 1: ``1 - (1 - base) (cos(pi k / K) + 1) / 2`` (BYOL)."""
    return cosine(base, 1.0, step, total_steps)
