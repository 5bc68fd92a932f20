"""AdamW, its groups of parameters, and its schedules, as pure functions of the step."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import nn

from equicoherence.methods.schedules import cosine
from equicoherence.training.config import OptimConfig

UNDECAYED = {"cls_token", "reg_token", "dist_token", "mask_token", "pos_embed", "queries", "positions", "views"}
BLOCK = re.compile(r"encoder\.model\.blocks\.(\d+)\.")
PATCH_EMBED = "encoder.model.patch_embed."
AFTER_BLOCKS = ("encoder.model.norm.", "encoder.model.fc_norm.")


class HasGroups(Protocol):
    """An optimiser, wrapped or not."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW over what has a gradient, in groups that share their rate and their decay.

    Biases, norms, learned tokens, queries and positions do not decay. Each group says its ``scale`` of the rate,
    whether it ``decays``, and whether it is of a ``last_layer``. Raises ValueError where layer_decay, patch_embed_lr or
    freeze_last_layer finds nothing to act on.
    """
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    scales = rate_scales(list(named), config)
    if config.freeze_last_layer and not any("last_layer" in name.split(".") for name in named):
        raise ValueError(
            f"optim.freeze_last_layer is {config.freeze_last_layer}, but the method has no last_layer; give "
            "--optim.freeze-last-layer 0"
        )
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        words = name.split(".")
        key = (parameter.ndim < 2 or words[-1] in UNDECAYED, "last_layer" in words, scales[name])
        groups.setdefault(key, []).append(parameter)
    options = [
        {"params": groups[key], "decays": not key[0], "last_layer": key[1], "scale": key[2]} for key in sorted(groups)
    ]
    return torch.optim.AdamW(options, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def rate_scales(names: list[str], config: OptimConfig) -> Mapping[str, float]:
    """Return each parameter's factor of the rate, by the depth L of the encoder (BEiT, DINOv2).

    ``layer_decay ** (L + 1 - layer)``: layer 0 is all before the first of L blocks, which is layer 1; what follows the
    blocks and heads have factor 1. The patch embedding has ``patch_embed_lr`` on top.
    """
    blocks = {name: int(found[1]) for name in names if (found := BLOCK.match(name))}
    if config.layer_decay != 1 and not blocks:
        raise ValueError(
            f"optim.layer_decay is {config.layer_decay}, but the encoder has no row of blocks as vision transformers "
            "do; give --optim.layer-decay 1"
        )
    if config.patch_embed_lr != 1 and not any(name.startswith(PATCH_EMBED) for name in names):
        raise ValueError(
            f"optim.patch_embed_lr is {config.patch_embed_lr}, but the encoder has no patch embedding; give "
            "--optim.patch-embed-lr 1"
        )
    depth = max(blocks.values(), default=-1) + 1

    def scale(name: str) -> float:
        outside = not name.startswith("encoder.") or name.startswith(AFTER_BLOCKS)
        layer = depth + 1 if outside else blocks.get(name, -1) + 1
        patch = config.patch_embed_lr if name.startswith(PATCH_EMBED) else 1.0
        return config.layer_decay ** (depth + 1 - layer) * patch

    return {name: scale(name) for name in names}


def set_schedules(
    optimizer: HasGroups, config: OptimConfig, step: int, total_steps: int, steps_per_epoch: int, world: int = 1
) -> float:
    """Set rate and decay of all groups for a 0-based step; return the rate.

    A last layer has rate 0 for ``freeze_last_layer`` epochs, which leaves it as it is, undecayed too.
    """
    lr, decay = learning_rate(config, step, total_steps, world), weight_decay(config, step, total_steps)
    frozen = step < config.freeze_last_layer * steps_per_epoch
    for group in optimizer.param_groups:
        group["lr"] = 0.0 if frozen and group["last_layer"] else lr * group["scale"]
        group["weight_decay"] = decay if group["decays"] else 0.0
    return lr


def learning_rate(config: OptimConfig, step: int, total_steps: int, world: int = 1) -> float:
    """Return the rate of a 0-based step: linear warm-up to its peak, then a cosine to zero.

    With global batch B, the peak is ``lr * B / 256``, or ``lr * sqrt(B / 1024)`` (DINOv2).
    """
    batch = config.batch_size * world
    peak = config.lr * (batch / 256 if config.lr_scaling == "linear" else math.sqrt(batch / 1024))
    warmup = round(config.warmup * total_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))


def weight_decay(config: OptimConfig, step: int, total_steps: int) -> float:
    """Return the decay of a 0-based step: from ``weight_decay`` to ``weight_decay_end`` by half a cosine (DINO)."""
    if config.weight_decay_end is None:
        return config.weight_decay
    return cosine(config.weight_decay, config.weight_decay_end, step, total_steps)
