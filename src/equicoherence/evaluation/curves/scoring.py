"""Scores of similarity curves: cosines of the features of images and of their transformed copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.evaluation.transformation.pairs import ImagePairs
from equicoherence.paths import Rotation, Scale, Transformation, Translation

if TYPE_CHECKING:
    from equicoherence.evaluation.curves.task import SimilarityCurve


PATHS: dict[str, Callable[[float, float], Transformation]] = {
    "rotation": lambda low, high: Rotation((low, high)),
    "scale": lambda low, high: Scale((low, high)),
    "translation": lambda low, high: Translation((low, high), (0.0, 0.0)),
}
"""Paths with the range of a curve in their first parameter, on which it depends how images are rendered."""


def score_curve(task: SimilarityCurve, model: FrozenModel, test: Loader, track: Track) -> TaskScore:
    """Score each representation at each step. Images are kept in ``model.memo`` for the next curve."""
    pairs = model.remember(
        ("curve images", test, task.images),
        lambda: ImagePairs(model, (test, 1), (test, task.images), keep_tokens=False),  # nothing is trained
    )
    path, count = PATHS[task.path](min(task.steps), max(task.steps)), pairs.counts()["val"]

    def seen(step: float) -> dict[str, Tensor]:
        theta = torch.zeros(count, len(path.parameters))
        theta[:, 0] = step
        return pairs.seen(1, path, theta, "content", task.share, track)

    base = {name: F.normalize(part, dim=1) for name, part in seen(0.0).items()}
    found: dict[tuple[str, float], dict[str, float]] = {}
    for step in task.steps:
        for name, part in seen(step).items():
            found[name, step] = similarities(base[name], F.normalize(part, dim=1))
    floors = {"cosine": 1.0, "others": 1.0, "retrieved": 1 / count}  # of a constant
    changed = [step for step in task.steps if task.changes(step)]
    rows = []
    for name in base:
        for metric, floor in floors.items():
            values = [found[name, step][metric] for step in changed]
            rows.append(Row(metric, sum(values) / len(values), representation=name, floor=floor))
            rows += [
                Row(metric, found[name, step][metric], representation=name, floor=floor, parameter=f"{step:g}", at=step)
                for step in task.steps
            ]
    return TaskScore(rows, counts={"val": count})


def similarities(base: Tensor, moved: Tensor) -> dict[str, float]:
    """Return the mean cosine of each image with itself, with the others, and how often it is nearest to itself.

    base, moved: (N, C), of unit length, of the images as they are and transformed.
    """
    cosines = moved @ base.T
    own = cosines.diagonal()
    others = (cosines.sum() - own.sum()) / (len(base) * (len(base) - 1))
    nearest = cosines.argmax(dim=1) == torch.arange(len(base), device=base.device)
    return {"cosine": float(own.mean()), "others": float(others), "retrieved": float(nearest.float().mean())}
