"""VICReg: variance, invariance, covariance (Bardes, Ponce, LeCun, ICLR 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather
from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class VICRegConfig(MethodConfig):
    """Weights of the three terms, and the projector; published: 25, 25, 1 and 8192.

    Args:
        invariance: Weight of the distance of the two views.
        variance: Weight of the hinge on standard deviations.
        covariance: Weight of the covariances off the diagonal.
        width: Features of each layer of the three-layer projector.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    width: int = 2048


class VICReg(Method, config=VICRegConfig):
    """VICReg on the mean of the invariant tokens."""

    def __init__(self, d_inv: int, config: VICRegConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = projector([d_inv, config.width, config.width, config.width])

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return invariance, variance and covariance of two views."""
        a, b = (self.projector(view).float() for view in student.summary)
        with torch.autocast(a.device.type, enabled=False):  # sums of squares need all their digits
            return self._losses(a, b)

    def _losses(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        losses = {"invariance": F.mse_loss(a, b) * self.config.invariance}
        a, b = gather(a), gather(b)
        losses["variance"] = (variance_loss(a) + variance_loss(b)) / 2 * self.config.variance
        losses["covariance"] = (covariance_loss(a) + covariance_loss(b)) * self.config.covariance
        return losses


def variance_loss(z: Tensor, target: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    """Return the mean hinge of the standard deviations of z (B, D) below ``target`` (paper, eq. 1 and 2)."""
    return F.relu(target - torch.sqrt(z.var(dim=0) + epsilon)).mean()


def covariance_loss(z: Tensor) -> Tensor:
    """Return the squared off-diagonal covariances of z (B, D), summed and divided by D (paper, eq. 3 and 4)."""
    batch, width = z.shape
    z = z - z.mean(dim=0)
    # the sum of squares of z^T z without the diagonal, through whichever Gram matrix is smaller
    gram = z @ z.T if batch < width else z.T @ z
    diagonal = z.square().sum(dim=0)
    return (gram.square().sum() - diagonal.square().sum()) / (batch - 1) ** 2 / width
