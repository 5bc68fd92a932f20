"""Transformation regression: what do frozen features of I and g(I) tell of g? [P2, table 1; our protocol]

Base images are upright central crops so small that a path with border ``content`` shows nothing but the photograph
itself, so no corner betrays the angle; ``zeros`` has black corners and does. One R2 per parameter, and their mean.
Every training image is seen under two draws of g. The attentive probe reads tokens averaged to at most 7 x 7; its rows
say how many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.pairs import DRAWS, Encoded, Pairs
from equicoherence.evaluation.probes import attentive_probe, mlp_probe, r2_score, ridge_probe
from equicoherence.paths import Transformation, named_path
from equicoherence.paths.renderer import Border

TRANSFORMATIONS = ("rotation", "translation", "scale", "color", "blur", "se2", "all")
PROBES = ("linear", "mlp", "attentive")
BASE = 0.66  # base crop's share of the shorter side: turned by 45 degrees, it still lies inside the image
SMALLER = {"se2": 0.64, "all": 0.45}  # turned and shifted; turned, shifted and shrunk to 0.7


@dataclass(frozen=True)
class TransformationConfig:
    """transformations, borders, probes: what to score. train, test: images of the probes. repeats: probe seeds.

    representations: which to score; empty for all the model has.
    """

    transformations: tuple[str, ...] = TRANSFORMATIONS
    borders: tuple[Border, ...] = ("content", "zeros")
    probes: tuple[str, ...] = PROBES
    train: int = 3000
    test: int = 1000
    repeats: int = 1
    seed: int = 0
    representations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        choices = (
            (self.transformations, TRANSFORMATIONS),
            (self.borders, get_args(Border)),
            (self.probes, PROBES),
        )
        for given, known in choices:
            for name in given:
                if name not in known:
                    raise ValueError(f"{name!r} is unknown; choose among {', '.join(known)}")
        for name, value, least in (("train", self.train, 2), ("test", self.test, 2), ("repeats", self.repeats, 1)):
            if value < least:
                raise ValueError(f"{name} is {value}, but at least {least} is needed")


def transformation_regression(
    model: FrozenModel, train: Loader, test: Loader, config: TransformationConfig
) -> Iterator[dict[str, Any]]:
    """Yield rows of scores; ``train`` and ``test`` are loaders of disjoint images, at least two each (ValueError)."""
    pairs = make_pairs(model, train, test, config)
    for name in config.transformations:
        yield from score_transformation(pairs, name, config)


def make_pairs(model: FrozenModel, train: Loader, test: Loader, config: TransformationConfig) -> Pairs:
    """Return the pairs that `score_transformation` reads; nothing is encoded before it asks."""
    for split, loader in (("train", train), ("val", test)):
        if len(loader.source) < 2:
            raise ValueError(f"split {split} has {len(loader.source)} image; transformation needs at least 2")
    return Pairs(model, (train, config.train), (test, config.test), keep_tokens="attentive" in config.probes)


def score_transformation(pairs: Pairs, name: str, config: TransformationConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows of one transformation, which do not depend on what else is scored."""
    path, share = named_path(name), SMALLER.get(name, BASE)
    thetas = pairs.draw(path, config.seed + 17)
    used = [i for i, p in enumerate(path.parameters) if p.high > p.low]
    names = [path.parameters[i].name for i in used]
    target, truth = (theta[:, used].to(pairs.model.encoder.mean.device) for theta in thetas)
    floor = r2_score(target.mean(dim=0).expand_as(truth), truth)
    base = pairs.base(share)
    rows: list[dict[str, Any]] = []
    for border in config.borders:
        if rows and not _moves(path):  # nothing beyond the border ever shows: the scores are those of the first
            yield from ({**row, "border": border} for row in rows)
            continue
        moved = pairs.moved(path, thetas, border, share)
        rows = []
        for labels, scores in ({"control": "constant"}, floor), *_probe_all(base, moved, target, truth, config):
            fields = {"task": "transformation", "metric": "r2", "transformation": name, "border": border, **labels}
            for row in _rows(scores, names, fields):
                rows.append(row)
                yield row


def _probe_all(
    base: tuple[Encoded, Encoded],
    moved: tuple[Encoded, Encoded],
    target: Tensor,
    truth: Tensor,
    config: TransformationConfig,
) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Yield the labels and R2 (P,) of every representation, probe and repeat."""
    for representation in config.representations or tuple(moved[0][0]):
        for probe in config.probes:
            kind = 1 if probe == "attentive" else 0
            if representation not in moved[0][kind]:
                continue
            firsts, seconds = ([of_set[kind][representation] for of_set in sets] for sets in (base, moved))
            train = torch.stack([firsts[0].repeat(DRAWS, *[1] * (firsts[0].ndim - 1)), seconds[0]], dim=1)
            test = torch.stack([firsts[1], seconds[1]], dim=1)
            labels: dict[str, Any] = {"representation": representation, "probe": probe}
            if probe == "attentive":
                labels["tokens"] = train.shape[2]
            for repeat in range(1 if probe == "linear" else config.repeats):
                predicted = _predict(probe, train, target, test, config.seed + repeat)
                yield {**labels, "repeat": repeat}, r2_score(predicted, truth)


def _moves(path: Transformation) -> bool:
    """Return whether a transformation changes where pixels are."""
    generator = torch.Generator().manual_seed(0)
    matrix = path.state(path.sample(4, generator)).geometry
    return bool((matrix - torch.eye(3)).abs().max() > 0)


def _predict(probe: str, train: Tensor, target: Tensor, test: Tensor, seed: int) -> Tensor:
    if probe == "attentive":
        return attentive_probe(train, target, test, draws=DRAWS, seed=seed)
    if probe == "mlp":
        return mlp_probe(_sum_and_difference(train), target, _sum_and_difference(test), draws=DRAWS, seed=seed)
    return ridge_probe(train.flatten(1), target, test.flatten(1), draws=DRAWS)


def _sum_and_difference(pairs: Tensor) -> Tensor:
    """Turn feature pairs (N, 2, C) to (N, 2 C): the same information, from which an MLP learns several times sooner."""
    first, second = pairs.unbind(dim=1)
    return torch.cat([first + second, second - first], dim=1)


def _rows(scores: Tensor, names: Sequence[str], fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, score in zip(names, scores.tolist()):
        yield {**fields, "parameter": name, "value": score}
    if len(names) > 1:
        yield {**fields, "parameter": "mean", "value": float(scores.mean())}
