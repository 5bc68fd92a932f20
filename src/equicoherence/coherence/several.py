"""Several decoders on one z_equi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from equicoherence.coherence.oracle import ThetaRegression
from equicoherence.coherence.task import CoherenceOutput, CoherenceTask
from equicoherence.paths.view_batch import Views


class CoherenceTasks(nn.Module):
    """Several decoders on one z_equi: a `CoherenceTask` for each, whose losses are added up.

    Same interface as `CoherenceTask`.

    tasks: decoder -> its task; the oracle's is `ThetaRegression`. columns: decoder -> which of the targets of the views
    are its own, from 0; the oracle has none.
    """

    def __init__(
        self, tasks: Mapping[str, CoherenceTask | ThetaRegression], columns: Mapping[str, Sequence[int]]
    ) -> None:
        super().__init__()
        self.tasks = nn.ModuleDict(tasks)
        self.columns = {name: tuple(columns[name]) for name in tasks}

    def forward(self, z1: Tensor, z2: Tensor, views: Views) -> CoherenceOutput:
        """Decode from z1, z2 (B, N, d_equi) with each decoder and compare with its targets."""
        losses, pictures = {}, {}
        for name, task in self.tasks.items():
            columns = self.columns[name]
            output = task(z1, z2, views.of_positions(columns))
            losses[name] = output.loss
            if output.decoded is not None:
                pictures = dict(zip(columns, output.decoded.unbind(dim=1))) | pictures
        decoded = torch.stack([pictures[column] for column in sorted(pictures)], dim=1) if pictures else None
        return CoherenceOutput(torch.stack(list(losses.values())).sum(), decoded, losses)
