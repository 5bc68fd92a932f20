"""The auxiliary task: from the equivariant features of two views, reconstruct intermediate states of the path [P2].

The task never sees the parameters of the path. `ThetaRegression` does: it is the oracle control, the ceiling against
which the task is measured, and no part of the method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.errors import unknown
from equicoherence.models.decoders import DECODERS, Decoder, Decoding
from equicoherence.paths.standard import FittedTheta, StandardTheta
from equicoherence.paths.transformation import Parameter
from equicoherence.paths.views import Views

Targets = Literal["intermediate", "final", "base", "intermediate+final"]
ORACLE = "oracle"
if TYPE_CHECKING:
    DecoderName = str
else:  # the names that the decoders have given themselves, and the control's
    DecoderName = Literal[(*DECODERS, ORACLE)]


@dataclass(frozen=True)
class CoherenceConfig:
    """Settings of the task; defaults are [P2]'s.

    d_equi: equivariant features of z. states: K, intermediate states, 0 or more. targets: what is
    reconstructed. symmetric: also reconstruct view 1 from the views in the other order, as [P1] does
    (targets=final only).
    weight: lambda. decoder: conv [P2], cross-attention [P1], render (ours), their sum, or the oracle control, which
    regresses theta. parts: of the render decoder, among affine, color, blur, flow. layer: 0-based encoder layer
    that the equivariant part reads; None is the output. split: where z_equi comes from, a linear map of the encoder's
    patch tokens, or the last d_equi outputs of the method's own head, as published for iBOT and DINOv2.
    """

    d_equi: int = 256
    states: int = 2
    targets: Targets = "intermediate"
    symmetric: bool = False
    weight: float = 1.0
    decoder: DecoderName = "conv"
    parts: tuple[str, ...] = ("affine", "color", "blur")
    layer: int | None = None
    split: Literal["linear", "head"] = "linear"

    def __post_init__(self) -> None:
        """Refuse combinations that would train nothing."""
        if self.d_equi < 1:
            raise ValueError(f"d_equi must be at least 1, got {self.d_equi}; without the task, leave coherence out")
        if self.symmetric and self.targets != "final":
            raise ValueError(f"symmetric reconstructs views, so targets must be final, not {self.targets!r}")
        if self.split == "head" and self.layer is not None:
            raise ValueError(
                f"the method's head reads the output, so with split head layer must be None, got {self.layer}"
            )
        if self.decoder not in (*DECODERS, ORACLE):
            raise unknown("decoder", self.decoder, (*DECODERS, ORACLE))
        from_view2 = self.decoder != ORACLE and DECODERS[self.decoder].from_view2
        if from_view2 and self.targets not in ("intermediate", "base"):
            raise ValueError(
                f"the {self.decoder} decoder starts from view 2, so targets {self.targets!r} would be free: "
                "choose intermediate or base, or another decoder"
            )

    def positions(self) -> tuple[float, ...]:
        """Return where on the path the targets lie: 0 is the base image u, 1 is view 2."""
        if self.states < 0:
            raise ValueError(f"states must be 0 or more, got {self.states}")
        if self.decoder == "oracle":
            return ()
        between = tuple(k / (self.states + 1) for k in range(1, self.states + 1))
        choices = {"intermediate": between, "final": (1.0,), "base": (0.0,), "intermediate+final": (*between, 1.0)}
        if self.targets not in choices:
            raise unknown("targets", self.targets, choices)
        return choices[self.targets]


@dataclass(frozen=True)
class CoherenceOutput:
    """loss: scalar, not yet weighted. decoded: (B, T, 3, S, S) in [0, 1] (unclamped), None where nothing is decoded."""

    loss: Tensor
    decoded: Tensor | None


class CoherenceTask(nn.Module):
    """Reconstruct the targets of `Views` from the equivariant tokens of both views [P2, section 3].

    The loss is the squared error to the normalised targets, averaged over pixels and targets.

    d_equi: features of the tokens. targets: T. size: S, pixels. grid: (h, w) of the tokens. mean, std: of the colors,
    for normalising. Without targets (K = 0) the loss is zero and the split is all that is left of the task.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        d_equi: int,
        targets: int,
        size: int,
        grid: tuple[int, int],
        *,
        decoder: DecoderName | Decoder = "conv",
        parts: tuple[str, ...] = ("affine", "color", "blur"),
        symmetric: bool = False,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        self.grid, self.symmetric = grid, symmetric
        if targets == 0:
            self.decoder = None
        elif isinstance(decoder, Decoder):
            self.decoder = decoder
        else:
            self.decoder = build_decoder(decoder, Decoding(d_equi, targets, size, grid, parts))
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, z1: Tensor, z2: Tensor, views: Views) -> CoherenceOutput:
        """Decode from z1, z2 (B, N, d_equi) and compare with ``views.targets``."""
        if self.decoder is None:
            return CoherenceOutput(z1.sum() * 0, None)
        decoded = self.decoder(z1, z2, self.grid, self._normalise(views.v2)).float()
        if decoded.shape != views.targets.shape:
            raise ValueError(
                f"decoded {tuple(decoded.shape)} does not match targets {tuple(views.targets.shape)}: "
                "the views must be made with the size and the number of positions that the task was built for"
            )
        loss = F.mse_loss(decoded, self._normalise(views.targets))
        if self.symmetric:
            other = self.decoder(z2, z1, self.grid, self._normalise(views.v1)).float()
            loss = (loss + F.mse_loss(other, self._normalise(views.v1)[:, None].expand_as(other))) / 2
        return CoherenceOutput(loss, decoded.detach() * self.std + self.mean)

    def _normalise(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class ThetaRegression(nn.Module):
    """Oracle control: regress the path's parameters, as labels, from the pooled equivariant tokens of both views.

    Same interface as `CoherenceTask`. Parameters are scaled by their ranges, as `StandardTheta` does, or where
    ``fitted``, for those that are not uniform in their ranges, as `FittedTheta`, which is to be fitted before.
    """

    def __init__(self, d_equi: int, parameters: Sequence[Parameter], *, fitted: bool = False, width: int = 256) -> None:
        super().__init__()
        self.standard = FittedTheta(len(parameters)) if fitted else StandardTheta(parameters)
        self.mlp = nn.Sequential(nn.Linear(2 * d_equi, width), nn.ReLU(), nn.Linear(width, len(parameters)))

    def forward(self, z1: Tensor, z2: Tensor, views: Views) -> CoherenceOutput:
        """Regress ``views.theta`` from z1, z2 (B, N, d_equi)."""
        predicted = self.mlp(torch.cat([z1.mean(dim=1), z2.mean(dim=1)], dim=-1)).float()
        return CoherenceOutput(F.mse_loss(predicted, self.standard(views.theta)), None)


def build_decoder(name: str, wanted: Decoding) -> Decoder:
    """Return the decoder of a name."""
    if name not in DECODERS:
        raise unknown("decoder", name, DECODERS)
    return DECODERS[name].build(wanted)
