"""Barlow Twins: make the cross-correlation of two views the identity (Zbontar et al., ICML 2021)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather


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
