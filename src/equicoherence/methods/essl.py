"""E-SSL: SimCLR, and classification of four rotations (Dangovski et al., ICLR 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.method import Encoded
from equicoherence.methods.simclr import SimCLR, SimCLRConfig
from equicoherence.models.heads import projector

ROTATIONS = 4


@dataclass(frozen=True)
class ESSLConfig(SimCLRConfig):
    """SimCLR's settings, and those of the prediction of rotations.

    Args:
        hidden: Width of the hidden layers that classify rotations.
        weight: Weight of the classification of rotations, .4 as published.
    """

    hidden: int = 2048
    weight: float = 0.4


class ESSL(SimCLR, config=ESSLConfig):
    """E-SSL on the encoder's summaries of two views, and of one local crop rotated by 0, 90, 180 and 270 degrees.

    It makes its own labels, the number of quarter turns, and does not receive theta.
    """

    reads = "features"
    crops = True
    rotated_crops = True
    config: ESSLConfig

    def __init__(self, width: int, config: ESSLConfig) -> None:
        super().__init__(width, config)
        self.classifier = projector([width, config.hidden, config.hidden, ROTATIONS], last_bias=True)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return SimCLR's loss of two views, and the cross entropy of the crops' rotations."""
        if crops is None or len(crops.summary) != ROTATIONS:
            raise ValueError(f"E-SSL needs {ROTATIONS} rotated crops, got {0 if crops is None else len(crops.summary)}")
        logits = self.classifier(crops.summary.flatten(0, 1)).float()
        with torch.autocast(logits.device.type, enabled=False):
            loss = self.config.weight * rotation_loss(logits.unflatten(0, (ROTATIONS, -1)))
        return {**super().forward(student), "rotation": loss}


def rotation_loss(logits: Tensor) -> Tensor:
    """Return the mean cross entropy of logits (4, B, 4): of crops rotated by row-number quarter turns, for that row."""
    turns = torch.arange(ROTATIONS, device=logits.device)[:, None].expand(-1, logits.shape[1])
    return F.cross_entropy(logits.flatten(0, 1), turns.flatten())
