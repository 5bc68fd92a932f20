"""Scores of transformation regression: pairs of features, probes, R2."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.evaluation.transformation import NOISE
from equicoherence.evaluation.transformation.mirror import Figures
from equicoherence.evaluation.transformation.noise import leaves_noise, noise_pairs
from equicoherence.evaluation.transformation.pair_probes import PAIR_PROBES
from equicoherence.evaluation.transformation.pairs import DRAWS, EncodedImages, ImagePairs, image_pairs
from equicoherence.paths import Transformation, named_path
from equicoherence.paths.pair_images import base_share

if TYPE_CHECKING:
    from equicoherence.evaluation.transformation.task import TransformationRegression


def score_transformations(
    task: TransformationRegression, model: FrozenModel, train: Loader, test: Loader, track: Track
) -> TaskScore:
    """Score a model by its task. Images and their upright encodings are kept in ``model.memo`` for the next call."""
    pairs = pairs_of(task, model, train, test)
    rows: list[Row] = []
    for name in task.transformations:
        rows += model.remember(
            known_rows(dataclasses.replace(task, transformations=(name,)), train, test),
            lambda name=name: [*image_rows(task, pairs, name, track), *noise_rows(task, pairs, name, track)],
        )
    return TaskScore(rows, counts=pairs.counts())


def pairs_of(task: TransformationRegression, model: FrozenModel, train: Loader, test: Loader) -> ImagePairs:
    """Return the pairs of images that a model is scored on, the same ones for the next call.

    Raises `RefusedValue` for images that the task cannot be scored on.
    """
    if obstacle := task.obstacle(train.source, test.source):
        raise RefusedValue(f"transformation {obstacle}")
    tokens = any(PAIR_PROBES[name].tokens for name in task.probes)
    return image_pairs(model, (train, task.train), (test, task.test), tokens)


def known_rows(part: TransformationRegression, train: Loader, test: Loader) -> tuple[Any, ...]:
    """Return the key by which a model remembers the rows of a task of one transformation."""
    return f"rows of {part.variant}", part, train, test


def image_rows(
    task: TransformationRegression,
    pairs: ImagePairs,
    name: str,
    track: Track,
    repeats: Mapping[str, int] | None = None,
) -> Iterator[Row]:
    """Yield the rows of one transformation, which do not depend on what else is scored.

    repeats: representation -> seeds of its probes, of those to score; the task's own if None.
    """
    path, share = named_path(name), base_share(name)
    of_pairs = _labels(task, pairs, path)
    base = pairs.base(path, share, track)
    found: list[tuple[Tensor, dict[str, Any]]] = []  # what is predicted (M, P + 2 O), and the labels of its rows
    for border in task.borders:
        if not found or _moves(path):  # else nothing beyond the border ever shows: the scores are those of the first
            moved = pairs.moved(path, of_pairs.thetas, border, share, track)  # type: ignore[arg-type]
            found = list(_probe_all(task, base, moved, of_pairs.target, repeats))
        for predicted, labels in found:
            yield from of_pairs.rows(predicted, name, {"border": border, **labels}, intervals=True)


def noise_rows(
    task: TransformationRegression,
    pairs: ImagePairs,
    name: str,
    track: Track,
    repeats: Mapping[str, int] | None = None,
) -> Iterator[Row]:
    """Yield the rows of one transformation on noise in place of the images, none if noise would show it.

    repeats: as `image_rows` takes them.
    """
    path, share = named_path(name), base_share(name)
    if not leaves_noise(path):
        return
    noise = noise_pairs(pairs)
    of_pairs = _labels(task, noise, path)
    base, moved = noise.base(path, share, track), noise.moved(path, of_pairs.thetas, "content", share, track)
    for predicted, labels in _probe_all(task, base, moved, of_pairs.target, repeats):
        for row in of_pairs.rows(predicted, name, {"border": "content", **labels}, intervals=False):
            if row.metric == "r2":
                yield dataclasses.replace(row, metric=NOISE)


@dataclass(frozen=True)
class _Labels:
    """Labels of pairs under one transformation.

    thetas: parameters of training and of test. target, truth: what probes are trained on and tested by. floors: what a
        constant scores.
    """

    figures: Figures
    thetas: tuple[Tensor, Tensor]
    target: Tensor
    truth: Tensor
    floors: Tensor

    def rows(self, predicted: Tensor, name: str, labels: dict[str, Any], *, intervals: bool) -> Iterator[Row]:
        """Yield the rows of predictions (M, P + 2 O)."""
        anew = self.figures.anew(predicted, self.truth) if intervals else None
        return self.figures.rows(self.figures.scores(predicted, self.truth), self.floors, name, labels, anew)


def _labels(task: TransformationRegression, pairs: ImagePairs, path: Transformation) -> _Labels:
    used = [i for i, p in enumerate(path.parameters) if p.high > p.low]
    figures = Figures([path.parameters[i] for i in used])
    thetas = pairs.draw(path, task.seed + 17)
    target, truth = (figures.targets(theta[:, used].to(pairs.model.encoder.mean.device)) for theta in thetas)
    return _Labels(figures, thetas, target, truth, figures.scores(target.mean(dim=0).expand_as(truth), truth))


def _probe_all(
    task: TransformationRegression,
    base: tuple[EncodedImages, EncodedImages],
    moved: tuple[EncodedImages, EncodedImages],
    target: Tensor,
    repeats: Mapping[str, int] | None,
) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Yield the predictions of every representation, probe and repeat, with the labels of its rows."""
    counts = dict.fromkeys(task.representations or moved[0][0], task.repeats) if repeats is None else repeats
    for representation, count in counts.items():
        for name in task.probes:
            probe = PAIR_PROBES[name]
            kind = int(probe.tokens)
            if representation not in moved[0][kind]:
                continue
            firsts, seconds = ([of_set[kind][representation] for of_set in sets] for sets in (base, moved))
            train = torch.stack([firsts[0].repeat(DRAWS, *[1] * (firsts[0].ndim - 1)), seconds[0]], dim=1)
            test = torch.stack([firsts[1], seconds[1]], dim=1)
            labels: dict[str, Any] = {"representation": representation, "probe": name}
            if probe.tokens:
                labels["tokens"] = train.shape[2]
            seeds = range(task.seed, task.seed + count)
            for repeat, predicted in enumerate(probe.predict(train, target, test, seeds, DRAWS)):
                yield predicted, {**labels, "repeat": repeat}


def _moves(path: Transformation) -> bool:
    """Return whether a transformation changes where pixels are."""
    generator = torch.Generator().manual_seed(0)
    matrix = path.state(path.sample(4, generator)).geometry
    return bool((matrix - torch.eye(3)).abs().max() > 0)
