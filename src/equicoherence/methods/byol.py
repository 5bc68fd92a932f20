"""BYOL: predict the teacher's projection of the other view (Grill et al., NeurIPS 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.methods.teacher import cosine_momentum, ema_update, frozen_copy
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class BYOLConfig(MethodConfig):
    """BYOL, as published.

    Args:
        width: Hidden features of projector and predictor.
        output: Output features of projector and predictor.
        momentum: Momentum of the teacher at the start; it rises to 1 by half a cosine.
    """

    width: int = 4096
    output: int = 256
    momentum: float = 0.996


class BYOL(Method, config=BYOLConfig):
    """BYOL on the mean of the invariant tokens; the teacher's momentum rises to 1 by half a cosine."""

    has_teacher = True

    def __init__(self, d_inv: int, config: BYOLConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = projector([d_inv, config.width, config.output])
        self.predictor = projector([config.output, config.width, config.output])
        self.teacher = frozen_copy(self.projector)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the regression of each view's target from the other view, summed over both (paper, section 3.1)."""
        assert teacher is not None
        a, b = (self.predictor(self.projector(view)).float() for view in student.summary)
        with torch.no_grad():
            target_a, target_b = (self.teacher(view).float() for view in teacher.summary)
        return {"regression": regression_loss(a, target_b) + regression_loss(b, target_a)}

    def momentum(self, step: int, total_steps: int) -> float:
        """Return the weight of the old teacher in its update after 0-based ``step``."""
        return cosine_momentum(self.config.momentum, step, total_steps)

    def update(self, step: int, total_steps: int) -> None:
        """Update the teacher's projector."""
        ema_update(self.teacher, self.projector, self.momentum(step, total_steps))


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance of the normalised rows of two (B, D), 2 - 2 cos, in [0, 4] (paper, eq. 2).

    ``target`` comes from the teacher, without gradient.
    """
    return 2 - 2 * F.cosine_similarity(prediction, target, dim=1).mean()
