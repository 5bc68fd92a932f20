"""DINOv2: DINO, iBOT and KoLeo together (Oquab et al., TMLR 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.ibot import IBOT, IBOTConfig
from equicoherence.methods.method import Encoded


@dataclass(frozen=True)
class DINOv2Config(IBOTConfig):
    """iBOT's settings with DINOv2's values, and KoLeo.

    Published are two recipes: the short one of ImageNet-1k, which the defaults follow, has 65,536 prototypes, a
    shared head, centring ema, a temperature warm-up of 30 of its 100 epochs and momentum .992; the long one has
    131,072 prototypes, heads of their own, centring sinkhorn and momentum .994. [P2], and our default, has 2048
    prototypes.

    Args:
        koleo: Weight of KoLeo, .1 as published.
    """

    prototypes: int = 2048
    temperature_warmup: float = 0.3
    momentum: float = 0.992
    norm_last_layer: bool = False
    koleo: float = 0.1


class DINOv2(IBOT, config=DINOv2Config):
    """DINOv2: iBOT's losses, and KoLeo on the student's summaries of global views, before the head.

    KoLeo is summed over the two views, as published.
    """

    compares_images = True  # by KoLeo

    def __init__(self, width: int, config: DINOv2Config, d_equi: int = 0) -> None:
        super().__init__(width, config, d_equi)
        self.koleo = config.koleo

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return iBOT's losses and the weighted KoLeo."""
        losses = super().forward(student, teacher, crops)
        with torch.autocast(student.summary.device.type, enabled=False):
            koleo = torch.stack([koleo_loss(view.float()) for view in student.summary]).sum()
        return {**losses, "koleo": self.koleo * koleo}


def koleo_loss(x: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Return minus the mean log distance of the normalised rows of x (B, D), B > 1, to their nearest neighbours.

    Neighbours are sought in this process's batch only, as published: Sablayrolles et al., ICLR 2019, eq. 2.
    """
    x = F.normalize(x, dim=1, eps=epsilon)
    with torch.no_grad():
        nearest = (x @ x.T).fill_diagonal_(-2).argmax(dim=1)
    distance = F.pairwise_distance(x, x[nearest], eps=epsilon)
    return -(distance + epsilon).log().mean()
