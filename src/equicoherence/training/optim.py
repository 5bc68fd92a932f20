"""AdamW and its schedule, as pure functions of the step."""

import math

import torch
from torch import nn

from equicoherence.training.config import OptimConfig

UNDECAYED = {"cls_token", "reg_token", "dist_token", "pos_embed", "queries", "positions", "views"}


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW with no weight decay on biases, norms, learned tokens, queries and positions."""
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    spared = {name for name, p in named if p.ndim < 2 or name.split(".")[-1] in UNDECAYED}
    decayed, free = ([p for name, p in named if (name in spared) == wanted] for wanted in (False, True))
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def learning_rate(config: OptimConfig, step: int, total_steps: int, world: int = 1) -> float:
    """Return the rate of a 0-based step: linear warm-up to ``lr * global batch / 256``, then a cosine to zero."""
    peak = config.lr * config.batch_size * world / 256
    warmup = round(config.warmup * total_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))
