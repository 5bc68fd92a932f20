"""The oracle, which regresses the parameters of the path: alone a control, and no part of the published method."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.coherence.task import CoherenceOutput
from equicoherence.paths.standard import FittedTheta, StandardTheta
from equicoherence.paths.transformation import Parameter
from equicoherence.paths.view_batch import Views


class ThetaRegression(nn.Module):
    """Oracle: regress the path's parameters, as labels, from the pooled equivariant tokens of both views.

    Same interface as `CoherenceTask`; `CoherenceTasks` takes it beside decoders. Parameters are scaled by their ranges,
    as `StandardTheta` does, or where ``fitted``, for those that are not uniform in their ranges, as `FittedTheta`,
    which is to be fitted before.
    """

    def __init__(self, d_equi: int, parameters: Sequence[Parameter], *, fitted: bool = False, width: int = 256) -> None:
        super().__init__()
        self.standard = FittedTheta(len(parameters)) if fitted else StandardTheta(parameters)
        self.mlp = nn.Sequential(nn.Linear(2 * d_equi, width), nn.ReLU(), nn.Linear(width, len(parameters)))

    def forward(self, z1: Tensor, z2: Tensor, views: Views) -> CoherenceOutput:
        """Regress ``views.theta`` from z1, z2 (B, N, d_equi)."""
        predicted = self.mlp(torch.cat([z1.mean(dim=1), z2.mean(dim=1)], dim=-1)).float()
        return CoherenceOutput(F.mse_loss(predicted, self.standard(views.theta[: len(z1)])), None)
