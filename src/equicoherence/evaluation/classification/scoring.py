"""Scores of classification: features of the labelled images, read once for all tasks on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from equicoherence.data import Loader, first_of_each
from equicoherence.data.source import UnusableData
from equicoherence.evaluation.bootstrap import share_interval
from equicoherence.evaluation.classification.accuracy import linear_logits
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.reader import BATCH, reader, represent
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.finite import check_features
from equicoherence.neighbours import knn_classes
from equicoherence.paths import Pyramid, render
from equicoherence.paths.central import base_state

if TYPE_CHECKING:
    from equicoherence.evaluation.classification.task import LinearProbe, NearestNeighbours

Classifier = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Features and labels to train on, features to test: classes (M,)."""


@dataclass(frozen=True)
class Labelled:
    """features: representation -> (N, C). labels: (N,), as positions among the classes that occur in training."""

    features: dict[str, Tensor]
    labels: Tensor


def score_neighbours(
    task: NearestNeighbours, model: FrozenModel, train: Loader, test: Loader, track: Track
) -> TaskScore:
    """Score each representation by its nearest neighbours."""
    return _score(
        lambda *splits: knn_classes(*splits, k=task.k, temperature=task.temperature),
        *(model, train, test, task.limit, track),
    )


def score_linear(task: LinearProbe, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score each representation by a linear classifier."""
    return _score(
        lambda *splits: linear_logits(*splits, epochs=task.epochs, seed=task.seed).argmax(dim=-1),
        *(model, train, test, task.limit, track),
    )


def _score(
    classify: Classifier, model: FrozenModel, train: Loader, test: Loader, limit: int, track: Track
) -> TaskScore:
    train_split, test_split = (
        model.remember(
            (f"labelled {split}", loader, limit),
            lambda loader=loader: labelled_features(model, loader, limit, track),
        )
        for split, loader in (("train", train), ("val", test))
    )
    # labels may be far apart: a row each is enough; a class that training lacks cannot be predicted
    present, train_labels = train_split.labels.unique(return_inverse=True)
    place = torch.searchsorted(present, test_split.labels).clamp(max=len(present) - 1)
    truth = torch.where(present[place] == test_split.labels, place, -1)
    floor = float((truth == train_labels.bincount().argmax()).float().mean())
    rows = []
    for name, features in train_split.features.items():
        right = classify(features, train_labels, test_split.features[name]) == truth
        score = float(right.float().mean())
        rows.append(Row("top1", score, floor=floor, interval=share_interval(right), representation=name))
    return TaskScore(rows, counts={"train": len(train_split.labels), "val": len(truth)})


@torch.no_grad()
def labelled_features(model: FrozenModel, loader: Loader, limit: int, track: Track) -> Labelled:
    """Return pooled representations and labels of up to ``limit`` labelled images, central square crops.

    Raises ValueError where none of them can be decoded, `NotFinite` for features that are not.
    """
    device, model = model.encoder.mean.device, reader(model)
    labelled = torch.from_numpy(loader.source.labels >= 0).nonzero().flatten()
    picked = labelled[torch.linspace(0, len(labelled) - 1, min(limit, len(labelled))).round().long()].numpy()
    parts, labels, index = [], [], []
    chunks = [picked[i : i + BATCH] for i in range(0, len(picked), BATCH)]
    batches = loader.batches(chunks)
    for _ in track(range(len(chunks)), "labelled images: features"):
        batch = next(batches)
        labels.append(batch.labels)
        index.append(batch.index)
        batch = batch.to(device)
        view = render(Pyramid.build(batch.images, model.size), base_state(batch.aspect, 1.0), size=model.size)
        parts.append(represent(model, view)[0])
    of_each = torch.cat(labels)
    kept = first_of_each(torch.cat(index))  # what stands in for a bad image may be another of the chosen ones
    kept = kept[of_each[kept] >= 0]  # or one without a label
    if not len(kept):
        raise UnusableData("none of the labelled images can be decoded; repair them, or give --tasks transformation")
    features = {k: torch.cat([p[k] for p in parts])[kept.to(device)] for k in parts[0]}
    check_features(features, model.name)
    return Labelled(features, of_each[kept].to(device))
