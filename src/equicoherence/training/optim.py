"""AdamW, its groups of parameters, and its schedules, as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import nn

from equicoherence.methods.schedules import cosine
from equicoherence.models import Encoder
from equicoherence.models.trained_layers import BEFORE, count_layers, parameter_layers
from equicoherence.training.optim_config import OptimConfig

UNDECAYED = {"cls_token", "reg_token", "dist_token", "mask_token", "pos_embed", "queries", "positions", "views"}
PATCH_EMBED = "encoder.model.patch_embed."


class HasGroups(Protocol):
    """An optimiser, wrapped or not."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...


def build_optimizer(
    module: nn.Module, config: OptimConfig, scales: Mapping[str, float] | None = None
) -> torch.optim.AdamW:
    """Return AdamW over what has a gradient, in groups that share their rate and their decay.

    Biases, norms, learned tokens, queries and positions do not decay. Each group says its ``scale`` of the rate,
    whether it ``decays``, and whether it is of a ``last_layer``.

    scales: of `rate_scales`, for a module that has been divided among processes since.

    Raises ValueError where layer_decay, patch_embed_lr or freeze_last_layer finds nothing to act on.
    """
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    scales = rate_scales(module, config) if scales is None else scales
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


def rate_scales(module: nn.Module, config: OptimConfig) -> Mapping[str, float]:
    """Return the factor of the rate of each parameter that has a gradient, by its name (BEiT, DINOv2).

    ``layer_decay ** (L - layer)`` for layer 0 to L - 1 of the L layers of ``module.encoder`` (`models.layers`): blocks
    of a vision transformer, stages of a convolutional network. What comes before the first has one power more; what
    follows the last, and heads, have factor 1. The patch embedding has ``patch_embed_lr`` on top.
    """
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    if config.patch_embed_lr != 1 and not any(name.startswith(PATCH_EMBED) for name in names):
        raise ValueError(
            f"optim.patch_embed_lr is {config.patch_embed_lr}, but the encoder has no patch embedding that is trained; "
            "give --optim.patch-embed-lr 1"
        )
    powers = _powers(module, config.layer_decay) if config.layer_decay != 1 else {}
    if config.layer_decay != 1 and not any(powers.get(name) for name in names):
        raise ValueError(
            f"optim.layer_decay is {config.layer_decay}, but no layer of the encoder is trained; give "
            "--optim.layer-decay 1"
        )

    def scale(name: str) -> float:
        patch = config.patch_embed_lr if name.startswith(PATCH_EMBED) else 1.0
        return config.layer_decay ** powers.get(name, 0) * patch

    return {name: scale(name) for name in names}


def _powers(module: nn.Module, layer_decay: float) -> dict[str, int]:
    """Return for each parameter of the encoder the number of layers above it, its own included."""
    encoder = getattr(module, "encoder", None)
    try:
        if not isinstance(encoder, Encoder):
            raise ValueError("there is no encoder")
        count, layers = count_layers(encoder), parameter_layers(encoder)
    except ValueError as error:
        raise ValueError(f"optim.layer_decay is {layer_decay}, but {error}; give --optim.layer-decay 1") from error
    powers = {f"encoder.model.{name}": count - layer for name, layer in layers.items()}
    return powers | {"encoder.mask_token": count - BEFORE}


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
