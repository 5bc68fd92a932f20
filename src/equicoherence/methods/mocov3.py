"""MoCo v3: find the teacher's projection of the same image among all others (Chen, Xie, He, ICCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather, rank
from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.methods.teacher import cosine_momentum, ema_update, frozen_copy
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class MoCoV3Config(MethodConfig):
    """MoCo v3; as published for ViT.

    Args:
        temperature: Temperature of the cosines in the contrastive loss.
        width: Hidden features of projector and predictor.
        output: Output features of projector and predictor.
        momentum: Momentum of the teacher at the start; it rises to 1 by half a cosine.
    """

    temperature: float = 0.2
    width: int = 4096
    output: int = 256
    momentum: float = 0.99


class MoCoV3(Method, config=MoCoV3Config):
    """MoCo v3 on the mean of the invariant tokens; the teacher's momentum rises to 1 by half a cosine.

    As published for ViT, the projector has three layers, the predictor two, and BatchNorm ends both. Freezing the patch
    embedding is not part of the method here.
    """

    has_teacher = True

    def __init__(self, d_inv: int, config: MoCoV3Config) -> None:
        super().__init__()
        self.config = config
        self.projector = projector([d_inv, config.width, config.width, config.output], last_norm=True)
        self.predictor = projector([config.output, config.width, config.output], last_norm=True)
        self.teacher = frozen_copy(self.projector)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the contrastive loss of each view against the teacher's other views, summed over both."""
        assert teacher is not None
        a, b = (self.predictor(self.projector(view)).float() for view in student.summary)
        with torch.no_grad():
            key_a, key_b = (self.teacher(view).float() for view in teacher.summary)
        with torch.autocast(a.device.type, enabled=False):
            temperature = self.config.temperature
            both = contrastive_loss(a, key_b, temperature) + contrastive_loss(b, key_a, temperature)
        return {"contrastive": both}

    def momentum(self, step: int, total_steps: int) -> float:
        """Return the weight of the old teacher in its update after 0-based ``step``."""
        return cosine_momentum(self.config.momentum, step, total_steps)

    def update(self, step: int, total_steps: int) -> None:
        """Update the teacher's projector."""
        ema_update(self.teacher, self.projector, self.momentum(step, total_steps))


def contrastive_loss(query: Tensor, key: Tensor, temperature: float = 0.2) -> Tensor:
    """Return InfoNCE of this process's queries (B, D) against the keys of all, row i with row i (paper, eq. 1).

    The keys have no gradient. The loss is times 2 * temperature, as published (paper, algorithm 1), so that its
    gradient changes little with the temperature.
    """
    query = F.normalize(query, dim=1)
    keys = gather(F.normalize(key.detach(), dim=1))
    own = rank() * len(query) + torch.arange(len(query), device=query.device)
    return 2 * temperature * F.cross_entropy(query @ keys.T / temperature, own)
