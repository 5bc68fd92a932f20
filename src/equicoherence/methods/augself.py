"""AugSelf: SimCLR, and the parameters of the transformation regressed from both views (Lee et al., NeurIPS 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.method import Encoded
from equicoherence.methods.simclr import SimCLR, SimCLRConfig
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class AugSelfConfig(SimCLRConfig):
    """The settings of SimCLR, and of the regression of theta.

    Args:
        hidden: Width of the hidden layers that regress theta.
        weight: Weight of the regression of theta; published .5 to 1.
    """

    hidden: int = 512
    weight: float = 1.0


class AugSelf(SimCLR, config=AugSelfConfig):
    """AugSelf on the encoder's summaries of both views. It receives theta, a label of the transformation.

    In the paper, the regression targets are the differences of the augmentations of both views, parameter by parameter.
    Here the target is theta, by which only view 2 was transformed further.
    """

    reads = "features"
    told = True
    predicts_theta = True
    config: AugSelfConfig

    def __init__(self, width: int, config: AugSelfConfig, theta_size: int) -> None:
        super().__init__(width, config)
        self.regression = projector([2 * width, config.hidden, config.hidden, theta_size], last_bias=True)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return SimCLR's loss of two views and the mean squared error of theta."""
        if student.theta is None:
            raise ValueError("AugSelf needs theta, the parameters that view 2 was transformed with")
        regressed = self.regression(torch.cat([*student.summary], dim=-1)).float()
        with torch.autocast(regressed.device.type, enabled=False):
            loss = self.config.weight * F.mse_loss(regressed, student.theta.float())
        return {**super().forward(student), "theta": loss}
