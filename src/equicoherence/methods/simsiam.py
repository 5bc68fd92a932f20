"""SimSiam: predict the other view's projection, with no gradient to it (Chen and He, CVPR 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class SimSiamConfig(MethodConfig):
    """SimSiam, as published.

    Args:
        width: Features of each layer of the three-layer projector.
        bottleneck: Features of the predictor's hidden layer.
    """

    width: int = 2048
    bottleneck: int = 512


class SimSiam(Method, config=SimSiamConfig):
    """SimSiam on the mean of the invariant tokens.

    As published, BatchNorm ends the projector, and the predictor ends in a linear layer with bias. In the paper
    the predictor has a constant learning rate; here it follows the schedule.
    """

    def __init__(self, d_inv: int, config: SimSiamConfig) -> None:
        super().__init__()
        self.projector = projector([d_inv, config.width, config.width, config.width], last_norm=True)
        self.predictor = projector([config.width, config.bottleneck, config.width], last_bias=True)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return minus the cosine of each view's prediction and the other's projection, averaged (paper, eq. 2)."""
        a, b = (self.projector(view) for view in student.summary)
        prediction_a, prediction_b = self.predictor(a).float(), self.predictor(b).float()
        with torch.autocast(a.device.type, enabled=False):
            both = negative_cosine(prediction_a, b.float()) + negative_cosine(prediction_b, a.float())
        return {"similarity": both / 2}


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Return minus the mean cosine of the rows of two (B, D), in [-1, 1]; no gradient to ``target`` (paper, eq. 1)."""
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()
