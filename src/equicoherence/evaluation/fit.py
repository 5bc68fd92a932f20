"""The one training loop of heads, alone or together with an encoder, and the precision that encoders compute in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from equicoherence.arithmetic import has_bfloat16
from equicoherence.evaluation.task import Track, no_bar
from equicoherence.finite import NotFinite


def fit(
    loss: Callable[[int], Tensor],
    groups: Iterable[dict[str, Any]],
    steps: int,
    *,
    head: nn.Module,
    what: str = "",
    track: Track[int] = no_bar,
    rise: float = 0.0,
    clip: float = 0.0,
) -> None:
    """Train parameters with AdamW, each group at its rate along half a cosine to 0.

    loss: step -> the loss () of that step, of a batch that it draws itself.
    groups: as `torch.optim.AdamW` takes them, each with its ``lr``; decay .01 where a group names none.
    steps: how many.
    head: its weights must be finite at the end.
    what, track: what a bar says, and the bar.
    rise: share of the steps in which the rates rise from 0 first.
    clip: largest norm of the gradient of all parameters, 0 for none.

    Raises `NotFinite` where the training diverged.
    """
    optimizer = torch.optim.AdamW(list(groups), fused=True)
    if rise:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_after_rise(step, steps, rise))
    else:
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    trained = [weight for group in optimizer.param_groups for weight in group["params"]]
    for step in track(range(steps), what):
        loss(step).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(trained, clip)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    check_trained(head)


def cosine_after_rise(step: int, steps: int, share: float = 0.05) -> float:
    """Return the factor of the learning rate: a linear rise in a ``share`` of the steps, then half a cosine to 0."""
    rise = max(1, round(share * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def check_trained(head: nn.Module) -> None:
    """Raise `NotFinite` where a head's weights are not finite."""
    numbers = [value for value in head.state_dict().values() if value.is_floating_point()]
    if not torch.stack([value.isfinite().all() for value in numbers]).all():
        raise NotFinite("weights of the head are not finite: the training diverged; lower its rate")


def precision_of(device: torch.device, *, tuned: bool = False) -> str:
    """Return the name of the precision in which an encoder computes.

    tuned: whether it is trained: then bfloat16 on accelerators, float32 on a CPU. A frozen one computes in bfloat16
        where the device multiplies it, else in float32.
    """
    fast = device.type != "cpu" if tuned else has_bfloat16(device)
    return "bfloat16" if fast else "float32"


def reading(device: torch.device) -> torch.autocast:
    """Return a context in which a frozen encoder computes in its precision (`precision_of`)."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_of(device) == "bfloat16")


def tuning(device: torch.device) -> torch.autocast:
    """Return a context in which an encoder that is trained computes in its precision (`precision_of`)."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_of(device, tuned=True) == "bfloat16")
