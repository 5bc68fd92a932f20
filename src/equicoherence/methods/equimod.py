"""EquiMod: SimCLR, and a predictor of how a transformation changes an embedding (Devillers and Lefort, ICLR 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equicoherence.methods.method import Encoded
from equicoherence.methods.simclr import SimCLR, SimCLRConfig, nt_xent_loss
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class EquiModConfig(SimCLRConfig):
    """SimCLR's settings, for both projectors and both contrastive terms, and EquiMod's.

    Args:
        d_equi: Number of equivariant features of z.
        theta_width: Width of theta's embedding.
        weight: Weight of the equivariant term, 1 as published.
    """

    d_equi: int = 256
    theta_width: int = 128
    weight: float = 1.0


class EquiMod(SimCLR, config=EquiModConfig):
    """EquiMod on the means of the invariant and of the equivariant tokens. It receives theta, a label.

    As published, an equivariant projection of one image and an embedding of theta predict the equivariant projection
    of the other, among those of all images. In the paper, the first is the image before any augmentation. Here it is
    view 1, since theta transforms only view 2, and each projector reads its own part of z.
    """

    told = True
    config: EquiModConfig

    def __init__(self, d_inv: int, config: EquiModConfig, theta_size: int) -> None:
        super().__init__(d_inv, config)
        self.equivariant_projector = projector([config.d_equi, config.width, config.output])
        self.theta_embedding = nn.Sequential(nn.Linear(theta_size, config.theta_width), nn.ReLU())
        self.predictor = projector([config.output + config.theta_width, config.width, config.output], last_bias=True)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return SimCLR's loss of the invariant projections, and that of the predicted and true equivariant ones."""
        equivariant, theta = student.told()
        first, true = (self.embed(view) for view in equivariant)
        predicted = self.predict(first, theta)
        with torch.autocast(true.device.type, enabled=False):
            loss = self.config.weight * nt_xent_loss(predicted, true, self.config.temperature)
        return {**super().forward(student), "equivariance": loss}

    def embed(self, z_equi: Tensor) -> Tensor:
        """Return the equivariant projection (B, output) of z_equi (B, d_equi)."""
        return self.equivariant_projector(z_equi).float()

    def predict(self, embedding: Tensor, theta: Tensor) -> Tensor:
        """Return the projection (B, output) of the other view, up to its length, from the first's and theta (B, P)."""
        return self.predictor(torch.cat([embedding, self.theta_embedding(theta)], dim=1)).float()
