"""STL: the transformation of a pair of views, predicted from a pair of another image (Yu et al., NeurIPS 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.methods.method import Encoded
from equicoherence.methods.sie import LinearHypernetwork
from equicoherence.methods.simclr import SimCLR, SimCLRConfig, nt_xent_loss
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class STLConfig(SimCLRConfig):
    """Projectors, the transformation representation, and weights; all as published.

    Args:
        hidden: Width of the two hidden layers over both views.
        transformation: Features of y_t, the representation of the transformation.
        equivariance: Weight lambda_equi of the equivariant term; the invariant term has weight 1.
        self_supervised: Weight lambda_trans of the term on y_t; the invariant term has weight 1.
    """

    temperature: float = 0.2
    hidden: int = 512
    transformation: int = 128
    equivariance: float = 1.0
    self_supervised: float = 0.2


class STL(SimCLR, config=STLConfig):
    """STL on the encoder's summaries of both views. It does not receive theta: it is label-free.

    In the paper, images 2i and 2i + 1 of a batch share the transformations of both views (aligned batch): crops and
    colors, while flips and blur are drawn for each. Here they share all augmentations, as in the paper's table 8,
    "all", and the further path if there is one. Details from the official code: the projector of y_t has one hidden
    layer, as wide as y_t; like the other two, which have two layers as SimCLR's here (the paper says three), it ends
    without a bias; and each term is taken in both directions, from view 1 to 2 and back.
    """

    reads = "features"
    paired = True
    config: STLConfig

    def __init__(self, width: int, config: STLConfig) -> None:
        super().__init__(width, config)
        inner, size = config.hidden, config.transformation
        self.transformation = projector([2 * width, inner, inner, size])
        self.hypernetwork = LinearHypernetwork(size, width, constant=False)
        self.equivariant_projector = projector([width, config.width, config.output])
        self.transformation_projector = projector([size, size, size])

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return SimCLR's loss of two views, that of predicted views, and that of transformations, weighted."""
        first, second = student.summary
        if len(first) % 2:
            raise ValueError(f"STL compares images in pairs that are transformed alike, got {len(first)} images")
        forth = self.transformation(torch.cat([first, second], dim=1))
        back = self.transformation(torch.cat([second, first], dim=1))
        predicted = self.hypernetwork(torch.cat([first, second]), torch.cat([partners(forth), partners(back)]))
        true, expected = (
            torch.cat([self.equivariant_projector(view).float() for view in views])
            for views in ((second, first), predicted.chunk(2))
        )
        alike = self.transformation_projector(torch.cat([forth, back])).float()
        with torch.autocast(first.device.type, enabled=False):
            equivariance = nt_xent_loss(expected, true, self.config.temperature)
            transformation = nt_xent_loss(alike[::2], alike[1::2], self.config.temperature)
        return {
            **super().forward(student),
            "equivariance": self.config.equivariance * equivariance,
            "transformation": self.config.self_supervised * transformation,
        }


def partners(rows: Tensor) -> Tensor:
    """Return rows (B, D), B even, with 2i and 2i + 1 exchanged."""
    return rows.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
