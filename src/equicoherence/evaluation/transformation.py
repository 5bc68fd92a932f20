"""Transformation regression: what do frozen features of I and g(I) tell of g? [P2, table 1; our protocol]

Base images are upright central crops so small that a path with border ``content`` shows nothing but the photograph
itself, so no corner betrays the angle; ``zeros`` has black corners and does. One R2 per parameter, and their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.probes import attentive_probe, mlp_probe, r2_score, ridge_probe
from equicoherence.paths import Pyramid, State, Transformation, named_path, render
from equicoherence.paths.geometry import crop
from equicoherence.paths.render import Border

TRANSFORMATIONS = ("rotation", "translation", "scale", "color", "blur", "se2", "all")
PROBES = ("linear", "mlp", "attentive")
BASE = 0.66  # base crop's share of the shorter side: turned by 45 degrees, it still lies inside the image
SMALLER = {"se2": 0.64, "all": 0.45}  # turned and shifted; turned, shifted and shrunk to 0.7
BATCH = 256
Encoded = tuple[dict[str, Tensor], dict[str, Tensor]]  # pooled (N, C) and tokens (N, T, C), by representation


@dataclass(frozen=True)
class TransformationConfig:
    """transformations, borders, probes: what to score. train, test: images of the probes. repeats: probe seeds.

    representations: which to score; empty for all the model has.
    """

    transformations: tuple[str, ...] = TRANSFORMATIONS
    borders: tuple[Border, ...] = ("content", "zeros")
    probes: tuple[str, ...] = PROBES
    train: int = 4000
    test: int = 1000
    repeats: int = 1
    seed: int = 0
    representations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for given, known in ((self.transformations, TRANSFORMATIONS), (self.probes, PROBES)):
            for name in given:
                if name not in known:
                    raise ValueError(f"{name!r} is unknown; choose among {', '.join(known)}")


def transformation_regression(
    model: FrozenModel, train: Loader, test: Loader, config: TransformationConfig
) -> Iterator[dict[str, Any]]:
    """Yield rows of scores; ``train`` and ``test`` are loaders of disjoint images."""
    sets = [_images(loader, count) for loader, count in ((train, config.train), (test, config.test))]
    tokens = "attentive" in config.probes
    device = model.encoder.mean.device
    bases: dict[float, list[Encoded]] = {}
    for name in config.transformations:
        path, share = named_path(name), SMALLER.get(name, BASE)
        if share not in bases:
            bases[share] = [_encode(model, *s, None, None, "content", share, tokens) for s in sets]
        base = bases[share]
        generator = torch.Generator().manual_seed(config.seed + 17)
        thetas = [path.sample(len(images), generator) for images, _ in sets]
        used = [i for i, p in enumerate(path.parameters) if p.high > p.low]
        target, truth = (t[:, used].to(device) for t in thetas)
        names = [path.parameters[i].name for i in used]
        floor = r2_score(target.mean(dim=0).expand_as(truth), truth)
        done: list[dict[str, Any]] = []
        for border in config.borders:
            fields = {"task": "transformation", "metric": "r2", "transformation": name, "border": border}
            if done and not _moves(path):  # nothing beyond the border ever shows: the scores are those of the first
                yield from ({**row, "border": border} for row in done)
                continue
            for row in _rows(floor, names, {**fields, "control": "constant"}):
                done.append(row)
                yield row
            moved = [_encode(model, *s, path, t, border, share, tokens) for s, t in zip(sets, thetas)]
            for representation in config.representations or tuple(moved[0][0]):
                for probe in config.probes:
                    kind = 1 if probe == "attentive" else 0
                    if representation not in moved[0][kind]:
                        continue
                    pairs = [
                        torch.stack([b[kind][representation], m[kind][representation]], 1) for b, m in zip(base, moved)
                    ]
                    for repeat in range(1 if probe == "linear" else config.repeats):
                        predicted = _predict(probe, pairs[0], target, pairs[1], config.seed + repeat)
                        labels = {"representation": representation, "probe": probe, "repeat": repeat}
                        for row in _rows(r2_score(predicted, truth), names, fields | labels):
                            done.append(row)
                            yield row


def _moves(path: Transformation) -> bool:
    """Return whether a transformation changes where pixels are."""
    generator = torch.Generator().manual_seed(0)
    matrix = path.state(path.sample(4, generator)).geometry
    return bool((matrix - torch.eye(3)).abs().max() > 0)


def base_state(aspect: Tensor, share: float) -> State:
    """Return the central square crop of images with true width / height ``aspect`` (B,): ``share`` of the shorter
    side."""
    width, height = share / aspect.clamp_min(1), share * aspect.clamp_max(1)
    zero = torch.zeros_like(aspect)
    return State.identity(len(aspect), aspect.device).replace(geometry=crop(zero, zero, width, height, zero))


def _predict(probe: str, train: Tensor, target: Tensor, test: Tensor, seed: int) -> Tensor:
    if probe == "attentive":
        return attentive_probe(train, target, test, seed=seed)
    if probe == "mlp":
        return mlp_probe(_sum_and_difference(train), target, _sum_and_difference(test), seed=seed)
    return ridge_probe(train.flatten(1), target, test.flatten(1))


def _sum_and_difference(pairs: Tensor) -> Tensor:
    """Turn feature pairs (N, 2, C) to (N, 2 C): the same information, from which an MLP learns several times sooner."""
    first, second = pairs.unbind(dim=1)
    return torch.cat([first + second, second - first], dim=1)


def _rows(scores: Tensor, names: Sequence[str], fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, score in zip(names, scores.tolist()):
        yield {**fields, "parameter": name, "value": score}
    if len(names) > 1:
        yield {**fields, "parameter": "mean", "value": float(scores.mean())}


def _images(loader: Loader, count: int) -> tuple[Tensor, Tensor]:
    """Read ``count`` images spread evenly over the source, as uint8, with their aspects."""
    n = len(loader.source)
    chosen = torch.linspace(0, n - 1, min(count, n)).round().long().numpy()
    parts = list(loader.batches([chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]))
    return torch.cat([b.images for b in parts]), torch.cat([b.aspect for b in parts])


@torch.no_grad()
def _encode(
    model: FrozenModel,
    images: Tensor,
    aspect: Tensor,
    path: Transformation | None,
    theta: Tensor | None,
    border: Border,
    share: float,
    tokens: bool,
) -> Encoded:
    """Return pooled representations (N, C), and tokens (N, T, C) in bfloat16 where asked for, of all images."""
    device = model.encoder.mean.device
    pooled: list[dict[str, Tensor]] = []
    patches: list[dict[str, Tensor]] = []
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        pyramid = Pyramid.build(images[rows].to(device), model.size)
        state = None if path is None or theta is None else path.state(theta[rows].to(device))
        view = render(pyramid, base_state(aspect[rows].to(device), share), state, size=model.size, border=border)
        with torch.autocast(device.type, torch.bfloat16):
            vectors, parts = model.represent(view)
        pooled.append({k: v.float() for k, v in vectors.items()})
        if tokens:
            patches.append({k: v.bfloat16() for k, v in parts.items()})
    join = lambda parts: {k: torch.cat([p[k] for p in parts]).clone() for k in parts[0]} if parts else {}  # noqa: E731
    return join(pooled), join(patches)
