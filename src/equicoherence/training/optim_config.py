"""Settings of the optimiser of a pretraining run, and of its schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from equicoherence.training.ranges import check


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with linear warm-up and cosine decay.

    Args:
        epochs: Passes over the images.
        batch_size: Images per step and process.
        lr: Highest learning rate, at a global batch of 256 images (with lr_scaling sqrt, of 1024).
        lr_scaling: How the learning rate grows with the global batch: linearly, or with its square root (sqrt).
        weight_decay: Weight decay; biases and norms have none.
        weight_decay_end: Weight decay at the last step, reached by a cosine; None if it stays the same.
        warmup: Share of all steps in which the learning rate rises from 0.
        clip: Largest norm of the gradient; 0 for none.
        accumulation: Parts that a step's batch is split into, to save memory.
        layer_decay: Factor of the learning rate from one layer of the encoder (block of a vision transformer, stage of
            a convolutional network) to the one before it; 1 for none.
        patch_embed_lr: Factor of the learning rate of a patch embedding, besides layer_decay.
        freeze_last_layer: Number of first epochs in which the last layer of the method's head is not trained.
    """

    epochs: int = 100
    batch_size: int = 256
    lr: float = 5e-4
    lr_scaling: Literal["linear", "sqrt"] = "linear"
    weight_decay: float = 0.05
    weight_decay_end: float | None = None
    warmup: float = 0.1
    clip: float = 0.0
    accumulation: int = 1
    layer_decay: float = 1.0
    patch_embed_lr: float = 1.0
    freeze_last_layer: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of their range, quoting them."""
        for name in ("epochs", "batch_size", "accumulation"):
            check(getattr(self, name) >= 1, f"optim.{name}", "at least 1", getattr(self, name))
        for name in ("lr", "layer_decay"):
            check(getattr(self, name) > 0, f"optim.{name}", "above 0", getattr(self, name))
        for name in ("weight_decay", "clip", "patch_embed_lr", "freeze_last_layer"):
            check(getattr(self, name) >= 0, f"optim.{name}", "0 or more", getattr(self, name))
        end = self.weight_decay_end
        check(end is None or end >= 0, "optim.weight_decay_end", "0 or more, or none", end)
        check(0 <= self.warmup <= 1, "optim.warmup", "a share of all steps, in [0, 1]", self.warmup)
        if self.accumulation > self.batch_size:
            raise ValueError(f"optim.accumulation {self.accumulation} is more than the batch of {self.batch_size}")
