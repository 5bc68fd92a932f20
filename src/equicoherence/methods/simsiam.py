"""SimSiam: predict the other view's projection, with no gradient to it (Chen and He, CVPR 2021)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Return minus the mean cosine of the rows of two (B, D), in [-1, 1]; no gradient to ``target`` (paper, eq. 1)."""
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()
