"""Scores of turned photographs: features of each, pairs within scenes, probes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.tokens import read_ahead, resize_image
from equicoherence.evaluation.bootstrap import resampled
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.reader import BATCH
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.evaluation.transformation.mirror import Figures
from equicoherence.evaluation.transformation.pair_probes import PAIR_PROBES
from equicoherence.finite import check_features
from equicoherence.paths import Rotation
from equicoherence.paths.pair_images import Photographs, base_share, draw_pair_image
from equicoherence.sets.kinds import TurnedSet

if TYPE_CHECKING:
    from equicoherence.downstream.turned.task import TurnedPhotographs


def score_turned(
    task: TurnedPhotographs, model: FrozenModel, train: TurnedSet, test: TurnedSet, track: Track
) -> TaskScore:
    """Score each representation."""
    features = [_encode(model, images, track) for images in (train, test)]
    chosen = [pairs_of_scenes(images, task.pairs) for images in (train, test)]
    turns = [turn_between(images, pairs) for images, pairs in zip((train, test), chosen)]
    largest = max(float(turn.abs().max()) for turn in turns)
    figures = Figures(Rotation((-largest, largest)).parameters)
    target, truth = (figures.targets(turn.to(model.encoder.mean.device)) for turn in turns)
    floors = figures.scores(target.mean(dim=0).expand_as(truth), truth)
    rows: list[Row] = []
    for name in features[0]:
        train_features, test_features = (
            side[name][pairs.to(side[name].device)] for side, pairs in zip(features, chosen)
        )
        for probe, repeat, predicted in _predictions(task, train_features, target, test_features):
            scores, anew = figures.scores(predicted, truth), _of_scenes_anew(figures, predicted, truth, task.pairs)
            labels = {"representation": name, "probe": probe, "repeat": repeat}
            rows += figures.rows(scores, floors, "rotation", labels, anew)
    counts = {"train": len(train), "val": len(test), "pairs": len(truth)}
    return TaskScore(rows, counts=counts)


def pairs_of_scenes(images: TurnedSet, count: int) -> Tensor:
    """Return ordered pairs (count * S, 2) of numbers of images: one of each scene, then the next one of each.

    Raises `UnusableData` where fewer than two scenes, or one for scoring, have two images that can be read.
    """
    found = []
    for scene in np.unique(images.scenes):
        numbers = [int(i) for i in np.flatnonzero(images.scenes == scene) if images.readable(int(i))]
        pairs = list(itertools.permutations(numbers, 2))
        chosen = [pairs[place] for place in spread(len(pairs), count)]
        found += [[chosen[i % len(chosen)] for i in range(count)]] if chosen else []
    if not found:
        raise UnusableData("no scene has two images that can be read, so there is no turn to ask for")
    return torch.tensor(found).transpose(0, 1).flatten(0, 1)


def turn_between(images: TurnedSet, pairs: Tensor) -> Tensor:
    """Return by how many degrees (P, 1) the second images of pairs (P, 2) are turned against the first, in
    [-180, 180)."""
    angles = torch.from_numpy(images.angles)[pairs]
    return ((angles[:, 1:] - angles[:, :1] + 180).remainder(360) - 180).float()


@torch.no_grad()
def _encode(model: FrozenModel, images: TurnedSet, track: Track) -> dict[str, Tensor]:
    """Return the pooled features (N, C) of all images, by representation."""
    device, side, share = model.encoder.mean.device, model.source, base_share("rotation")
    shapes: dict[int, tuple[int, ...]] = {}

    def load(index: int) -> np.ndarray:
        pixels = images.image(index)
        shapes[index] = pixels.shape
        return resize_image(pixels, (side, side))

    loaded = read_ahead(load, range(len(images)))
    found: list[dict[str, Tensor]] = []
    for start in track(range(0, len(images), BATCH), "turned: features"):
        numbers = range(start, min(start + BATCH, len(images)))
        pixels = torch.from_numpy(np.stack([next(loaded) for _ in numbers])).permute(0, 3, 1, 2)
        sizes = torch.tensor([shapes[i][:2] for i in numbers], dtype=torch.float32)
        part = Photographs(pixels.contiguous(), sizes[:, 1] / sizes[:, 0], sizes.amin(dim=1))
        view = draw_pair_image(part, Rotation(), None, share, model.size, device=device)
        with reading(device):
            vectors, _ = model.represent(view)
        found.append({name: each.float() for name, each in vectors.items()})
    joined = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    check_features(joined, model.name)
    return joined


def _predictions(
    task: TurnedPhotographs, train: Tensor, target: Tensor, test: Tensor
) -> Iterator[tuple[str, int, Tensor]]:
    """Yield probe, repeat and predictions (M, P) from features of pairs (N, 2, C), (M, 2, C)."""
    for name in ("linear", "mlp"):
        seeds = range(task.seed, task.seed + task.repeats)
        for repeat, predicted in enumerate(PAIR_PROBES[name].predict(train, target, test, seeds, task.pairs)):
            yield name, repeat, predicted


def _of_scenes_anew(figures: Figures, predicted: Tensor, truth: Tensor, pairs: int) -> Tensor | None:
    """Return the scores of test scenes drawn anew, each with all its pairs; None of a single scene."""
    if len(truth) == pairs:
        return None
    predicted, truth = (each.unflatten(0, (pairs, -1)) for each in (predicted, truth))
    score = lambda rows: figures.scores(predicted[:, rows].flatten(0, 1), truth[:, rows].flatten(0, 1))  # noqa: E731
    return resampled(score, truth.shape[1])
