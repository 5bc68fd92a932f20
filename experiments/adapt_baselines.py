"""What anyone has without training: the features of an encoder that exists, and beside them what costs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equicoherence.adapting.asked import Asked
from equicoherence.adapting.plan import plan_adaptation
from equicoherence.adapting.start_config import middle_layers
from equicoherence.evaluation.baselines import Thumbnail
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.models import Encoder
from equicoherence.models.joined import joined
from equicoherence.reporting.adaptation.adaptation import ORIGINAL, SCORED
from equicoherence.reporting.adaptation.figures import BACKBONE, FigureRow, figure_rows
from equicoherence.training import PretrainConfig

THUMBNAIL, LAYERS = "no training: a thumbnail", "no training: middle layers, pooled"
FOLDERS = {THUMBNAIL: "beside-thumbnail", LAYERS: "beside-layers"}


class Beside(nn.Module):
    """The features of an encoder and, in z_equi's place and to its scale, the image small or other layers pooled.

    layers: which layers, their patch tokens averaged; none: the image at 16 x 16 pixels.
    """

    def __init__(self, model: FrozenModel, layers: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.layers, self.pool, self.thumbnail = model.encoder, layers, model.pool, Thumbnail()

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C + C') of images (B, 3, S, S) in [0, 1]."""
        output, every = self.encoder.every_layer(images)
        pooled = [every[layer].pooled() for layer in self.layers]
        return joined(output.pooled(self.pool), torch.cat(pooled, dim=1) if pooled else self.thumbnail(images))


def score_baselines(config: PretrainConfig, asked: Asked, folder: Path) -> None:
    """Score both baselines of the encoder that a configuration starts from, as an adapted encoder is scored.

    folder: of the encoder's adaptations; scores that lie there are kept.
    """
    plan = plan_adaptation(config, asked, folder)
    assert isinstance(plan.original.encoder, Encoder)
    for name, layers in ((THUMBNAIL, ()), (LAYERS, middle_layers(plan.original.encoder))):
        model = as_frozen(Beside(plan.original, layers), size=plan.original.size, name=name)
        score_jobs(model, plan.after, folder / FOLDERS[name], Scoring(controls=False, device=config.device))


@dataclass(frozen=True)
class Baseline:
    """What was measured of a baseline. rows: beside the original. scores: the content of its ``scores.json``."""

    rows: Sequence[FigureRow]
    scores: Mapping[str, Any]


def read_baselines(folder: Path) -> dict[str, Baseline]:
    """Return the baselines that are scored, by their names."""
    originals = sorted(folder.glob(f"*/{SCORED}/{ORIGINAL}/{FILE}"))
    found = {}
    for name, place in FOLDERS.items():
        scores = read_scores(folder / place / FILE)
        if scores and originals:
            rows = list(figure_rows(read_scores(originals[0]) or {}, scores, BACKBONE))
            found[name] = Baseline(rows, scores)
    return found
