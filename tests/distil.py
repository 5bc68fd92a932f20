"""A small self-distillation method that uses all of the contract: features, teacher, masks, crops, its own head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.methods import Encoded, Method
from equicoherence.methods.teacher import cosine_momentum, ema_update, frozen_copy


@dataclass(frozen=True)
class DistilConfig:
    """Width of the head, prototypes, and the teacher's first momentum."""

    width: int = 12
    prototypes: int = 10
    momentum: float = 0.9


class Distil(Method):
    """Cross entropy of summaries and of masked tokens to the teacher's; of the head's outputs, d_equi are z_equi."""

    reads = "features"
    has_teacher = True
    reads_tokens = True
    masks = True
    crops = True
    splits_head = True

    def __init__(self, width: int, config: DistilConfig, d_equi: int = 0) -> None:
        super().__init__()
        self.config, self.kept, self.d_equi = config, config.prototypes - d_equi, d_equi
        self.head = nn.Sequential(nn.Linear(width, config.width), nn.GELU())
        self.last_layer = nn.Linear(config.width, config.prototypes, bias=False)
        self.teacher = frozen_copy(nn.Sequential(self.head, self.last_layer))

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        assert teacher is not None
        with torch.no_grad():
            targets = self.teacher(teacher.summary)[..., : self.kept].softmax(dim=-1)
        losses = {"view": self._entropy(student.summary, targets.flip(0)).mean()}
        if crops is not None:
            losses["crops"] = self._entropy(crops.summary, targets.mean(dim=0)).mean()
        if student.masked is not None and student.weights is not None:
            with torch.no_grad():
                tokens = self.teacher(teacher.tokens.flatten(0, 2)[student.masked])[:, : self.kept].softmax(dim=-1)
            per_token = self._entropy(student.tokens.flatten(0, 2)[student.masked], tokens)
            losses["patches"] = (student.weights * per_token).sum() / student.tokens[..., 0, 0].numel()
        return losses

    def _entropy(self, x: Tensor, targets: Tensor) -> Tensor:
        logits = self.last_layer(self.head(x))[..., : self.kept]
        return -(targets * F.log_softmax(logits, dim=-1)).sum(dim=-1)

    def momentum(self, step: int, total_steps: int) -> float:
        return cosine_momentum(self.config.momentum, step, total_steps)

    def update(self, step: int, total_steps: int) -> None:
        ema_update(self.teacher, nn.Sequential(self.head, self.last_layer), self.momentum(step, total_steps))

    def equivariant(self, tokens: Tensor) -> Tensor:
        return self.last_layer(self.head(tokens))[..., self.kept :]
