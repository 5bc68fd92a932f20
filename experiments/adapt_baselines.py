"""What anyone has without training: the features of an encoder that exists, and beside them what costs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from kept import has_scores, tasks_of
from published import keep_scores
from torch import Tensor, nn

from equicoherence.adapting.asked import Asked
from equicoherence.adapting.plan import plan_adaptation, scored_settings
from equicoherence.adapting.start_config import middle_layers
from equicoherence.downstream.representation import joined_maps, output_map
from equicoherence.downstream.tokens import resizable
from equicoherence.evaluation.baselines import Thumbnail
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import ADAPT
from equicoherence.models import Encoder
from equicoherence.models.features import Pool
from equicoherence.models.joined import joined
from equicoherence.models.token_maps import on_grid
from equicoherence.notice import say
from equicoherence.reporting.adaptation.adaptation import ADAPTED, SCORED, Adaptation
from equicoherence.reporting.adaptation.figures import BACKBONE, FigureRow, figure_rows
from equicoherence.training import PretrainConfig, load_config

THUMBNAIL, POOLED_LAYERS = "no training: a thumbnail", "no training: middle layers, pooled"
FOLDERS = {THUMBNAIL: "beside-thumbnail", POOLED_LAYERS: "beside-layers"}


class Beside(nn.Module):
    """The features of an encoder and, in z_equi's place and to its scale, the image small or other layers pooled.

    layers: which layers, their patch tokens averaged; none: the image at 16 x 16 pixels.
    """

    def __init__(self, model: FrozenModel, layers: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.layers, self.thumbnail = model.encoder, layers, Thumbnail()
        self.pool: Pool = model.pool

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C + C') of images (B, 3, S, S) in [0, 1]."""
        output, every = self.encoder.every_layer(images)
        pooled = [every[layer].pooled() for layer in self.layers]
        return joined(output.pooled(self.pool), torch.cat(pooled, dim=1) if pooled else self.thumbnail(images))


class LayersBeside(nn.Module):
    """Patch tokens of the output and, in place of z_equi and scaled as it is, of the layers that the head reads."""

    def __init__(self, model: FrozenModel) -> None:
        super().__init__()
        self.encoder = resizable(model.encoder)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C, h, w) of images (B, 3, H, W) in [0, 1], on the grid that z_equi has."""
        features = self.encoder(images)
        grid = features.tapped_grid
        maps = [part.transpose(1, 2).unflatten(2, own) for part, own in zip(features.tapped, features.tapped_grids)]
        layers = [on_grid(each, grid) for each in maps]
        return joined_maps(output_map(features), torch.cat(layers, dim=1))


def score_baselines(config: PretrainConfig, options: Asked, out: Path, store: Path) -> None:
    """Score both baselines of the encoder that a configuration starts from, as an adapted encoder is scored; keep them.

    out: the folder of the encoder's adaptations; scores that lie there are taken.
    store: the folder of what is kept of them; what is kept there is not scored again.
    """
    plan = plan_adaptation(config, options, out)
    assert isinstance(plan.original.encoder, Encoder)
    settings = scored_settings(options, config)
    settings = {job.task.name: settings[job.task.name] for job in plan.after}
    for name, layers in ((THUMBNAIL, ()), (POOLED_LAYERS, middle_layers(plan.original.encoder))):
        model = as_frozen(Beside(plan.original, layers), size=plan.original.size, name=name)
        kept = read_scores(store / FOLDERS[name] / FILE)
        if not (has_scores(kept, settings, data=plan.after[0].data) and kept["weights"] == fingerprint(model)):
            scores = score_jobs(model, plan.after, out / FOLDERS[name], Scoring(controls=False, device=config.device))
            keep_scores(ADAPT, scores, store / FOLDERS[name], name)


def keep_baselines(out: Path, store: Path, way: Path) -> None:
    """Keep the baselines that are scored in ``out`` as an adapted encoder was. way: its run."""
    for name, folder in FOLDERS.items():
        scores = read_scores(out / folder / FILE)
        if _is_scored_as(way, scores):
            keep_scores(ADAPT, scores, store / folder, name)


@dataclass(frozen=True)
class Baseline:
    """What was measured of a baseline. rows: beside the original. scores: the content of its ``scores.json``."""

    rows: Sequence[FigureRow]
    scores: Mapping[str, Any]


def read_baselines(folder: Path, way: Adaptation) -> dict[str, Baseline]:
    """Return the baselines that are scored as a way of adapting is, by their names; a line names those that are not."""
    found = {}
    for name, place in FOLDERS.items():
        scores = read_scores(folder / place / FILE)
        if _is_scored_as(way.run.path, scores):
            found[name] = Baseline(list(figure_rows(way.scores[0], scores, BACKBONE)), scores)
        elif scores:
            say(f"{folder.name}/{place} is left out: it was not scored as the ways of adapting were")
    return found


def _is_scored_as(way: Path, scores: Mapping[str, Any]) -> bool:
    """Return whether a baseline has the scores that a way of adapting has. way: its run, or what is kept of it."""
    adapted = read_scores(way / SCORED / ADAPTED / FILE)
    settings = scored_settings(Asked.of_run(way), load_config(way / "config.yaml"))
    (data,) = {part["data"] for part in adapted["parts"].values()}
    return has_scores(scores, {task: settings[task] for task in tasks_of(adapted)}, data=data)
