"""Scores of transformation regression: pairs of features, probes, R2."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.evaluation.transformation import NOISE
from equicoherence.evaluation.transformation.mirror import Figures
from equicoherence.evaluation.transformation.noise import leaves_noise, noise_pairs
from equicoherence.evaluation.transformation.pair_probes import PAIR_PROBES
from equicoherence.evaluation.transformation.pairs import DRAWS, EncodedImages, ImagePairs
from equicoherence.paths import Transformation, named_path
from equicoherence.paths.pair_images import base_share

if TYPE_CHECKING:
    from equicoherence.evaluation.transformation.task import TransformationRegression


def score_transformations(
    task: TransformationRegression, model: FrozenModel, train: Loader, test: Loader, track: Track
) -> TaskScore:
    """Score a model by its task. Images and their upright encodings are kept in ``model.memo`` for the next call."""
    if obstacle := task.obstacle(train.source, test.source):
        raise RefusedValue(f"transformation {obstacle}")
    tokens = any(PAIR_PROBES[name].tokens for name in task.probes)
    pairs = model.remember(
        ("image pairs", train, test, task.train, task.test, tokens),
        lambda: ImagePairs(model, (train, task.train), (test, task.test), keep_tokens=tokens),
    )
    rows: list[Row] = []
    for name in task.transformations:
        rows += model.remember(
            known_rows(dataclasses.replace(task, transformations=(name,)), train, test),
            lambda name=name: list(_of_one(task, pairs, name, track)),
        )
    return TaskScore(rows, counts=pairs.counts())


def known_rows(part: TransformationRegression, train: Loader, test: Loader) -> tuple[Any, ...]:
    """Return the key by which a model remembers the rows of a task of one transformation."""
    return f"rows of {part.variant}", part, train, test


def _of_one(task: TransformationRegression, pairs: ImagePairs, name: str, track: Track) -> Iterator[Row]:
    """Yield the rows of one transformation, which do not depend on what else is scored."""
    path, share = named_path(name), base_share(name)
    used = [i for i, p in enumerate(path.parameters) if p.high > p.low]
    figures = Figures([path.parameters[i] for i in used])

    def drawn(pairs: ImagePairs) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor, Tensor]:
        """Return parameters, what probes are trained on and tested by, and what a constant scores."""
        thetas = pairs.draw(path, task.seed + 17)
        target, truth = (figures.targets(theta[:, used].to(pairs.model.encoder.mean.device)) for theta in thetas)
        return thetas, target, truth, figures.scores(target.mean(dim=0).expand_as(truth), truth)

    thetas, target, truth, floors = drawn(pairs)
    base = pairs.base(path, share, track)
    found: list[tuple[Tensor, dict[str, Any]]] = []  # what is predicted (M, P + 2 O), and the labels of its rows
    for border in task.borders:
        if not found or _moves(path):  # else nothing beyond the border ever shows: the scores are those of the first
            moved = pairs.moved(path, thetas, border, share, track)  # type: ignore[arg-type]
            found = list(_probe_all(task, base, moved, target))
        for predicted, labels in found:
            scores, anew = figures.scores(predicted, truth), figures.anew(predicted, truth)
            yield from figures.rows(scores, floors, name, {"border": border, **labels}, anew)
    if leaves_noise(path):
        noise = noise_pairs(pairs)
        thetas, target, truth, floors = drawn(noise)
        base, moved = noise.base(path, share, track), noise.moved(path, thetas, "content", share, track)
        for predicted, labels in _probe_all(task, base, moved, target):
            for row in figures.rows(figures.scores(predicted, truth), floors, name, {"border": "content", **labels}):
                if row.metric == "r2":
                    yield dataclasses.replace(row, metric=NOISE)


def _probe_all(
    task: TransformationRegression,
    base: tuple[EncodedImages, EncodedImages],
    moved: tuple[EncodedImages, EncodedImages],
    target: Tensor,
) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Yield the predictions of every representation, probe and repeat, with the labels of its rows."""
    for representation in task.representations or tuple(moved[0][0]):
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
            for repeat in range(task.repeats if probe.seeded else 1):
                yield probe.predict(train, target, test, task.seed + repeat, DRAWS), {**labels, "repeat": repeat}


def _moves(path: Transformation) -> bool:
    """Return whether a transformation changes where pixels are."""
    generator = torch.Generator().manual_seed(0)
    matrix = path.state(path.sample(4, generator)).geometry
    return bool((matrix - torch.eye(3)).abs().max() > 0)
