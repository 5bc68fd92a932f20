"""Barlow Twins: make the cross-correlation of two views the identity (Zbontar et al., ICML 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather
from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class BarlowTwinsConfig(MethodConfig):
    """Barlow Twins, as published.

    Args:
        redundancy: Weight of the correlations off the diagonal.
        width: Features of each layer of the three-layer projector.
    """

    redundancy: float = 5e-3
    width: int = 8192


class BarlowTwins(Method, config=BarlowTwinsConfig):
    """Barlow Twins on the mean of the invariant tokens."""

    def __init__(self, d_inv: int, config: BarlowTwinsConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = projector([d_inv, config.width, config.width, config.width])

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the cross-correlation loss of two views."""
        a, b = (self.projector(view).float() for view in student.summary)
        with torch.autocast(a.device.type, enabled=False):  # sums of squares need all their digits
            return {"cross_correlation": cross_correlation_loss(a, b, self.config.redundancy)}


def cross_correlation_loss(a: Tensor, b: Tensor, lambda_: float = 5e-3) -> Tensor:
    """Return sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2, C the correlation of a and b, (B, D) (paper, eq. 1).

    Features are standardised over the rows of all processes as BatchNorm does: biased variance plus 1e-5.
    """
    a, b = (F.batch_norm(gather(z), None, None, training=True) for z in (a, b))
    batch, width = a.shape
    diagonal = (a * b).mean(dim=0)
    # |a^T b|^2 = <a a^T, b b^T>: through whichever matrices are smaller
    squares = (a @ a.T) * (b @ b.T) if batch < width else (a.T @ b).square()
    off_diagonal = squares.sum() / batch**2 - diagonal.square().sum()
    return (1 - diagonal).square().sum() + lambda_ * off_diagonal
