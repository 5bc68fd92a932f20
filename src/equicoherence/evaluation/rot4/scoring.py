"""Scores of four rotations: features of each image rotated four ways, a linear classifier, its confusions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.devices import float64
from equicoherence.evaluation.bootstrap import interval, resampled
from equicoherence.evaluation.classification.accuracy import linear_logits
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.evaluation.transformation.pairs import image_pairs
from equicoherence.paths import Rotation

if TYPE_CHECKING:
    from equicoherence.evaluation.rot4.task import FourTurns

TURNS = (0, 90, 180, 270)
SHARE = 1.0  # a square turned by 90 degrees shows nothing from beyond itself


def score_four_turns(task: FourTurns, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score each representation."""
    pairs = image_pairs(model, (train, task.train), (test, task.test), keep_tokens=False)
    path, counts = Rotation((min(TURNS), max(TURNS))), pairs.counts()
    sides = []
    for split, count in enumerate(counts.values()):
        thetas = [torch.full((count, 1), float(turn)) for turn in TURNS]
        turned = [pairs.seen(split, path, theta, "content", SHARE, track) for theta in thetas]
        sides.append({name: torch.cat([part[name] for part in turned]) for name in turned[0]})
    train_features, test_features = sides
    rows: list[Row] = []
    for name, features in train_features.items():
        turns = torch.arange(len(TURNS), device=features.device)
        labels, truth = (turns.repeat_interleave(counts[split]) for split in ("train", "val"))
        logits = linear_logits(features, labels, test_features[name], epochs=task.epochs, seed=task.seed)
        rows += four_turn_rows(logits, truth, name)
    return TaskScore(rows, counts=counts)


def four_turn_rows(logits: Tensor, truth: Tensor, representation: str) -> Iterator[Row]:
    """Yield the scores of logits (M, 4) for numbers of quarter turns (M,); every number occurs."""
    predicted = logits.argmax(dim=1)
    right = predicted == truth
    images = right.view(len(TURNS), -1).float()  # an image is drawn again with all its turns
    ends = interval(resampled(lambda rows: images[:, rows].mean(), images.shape[1]))
    score = float(right.float().mean())
    yield Row("top1", score, representation=representation, floor=1 / len(TURNS), interval=ends)
    first, second = (TURNS.index(turn) for turn in (90, 270))
    margin = (logits[:, second] - logits[:, first]) * torch.where(truth == first, 1.0, -1.0)
    pair = margin[(truth == first) | (truth == second)]
    confused = float((pair > 0).float().mean() + 0.5 * (pair == 0).float().mean())
    yield Row("confused", confused, representation=representation, floor=0.5)
    for row, turn in enumerate(TURNS):
        shares = float64(predicted[truth == row].bincount(minlength=len(TURNS))) / int((truth == row).sum())
        for other, share in zip(TURNS, shares.tolist()):
            yield Row("share", share, representation=representation, parameter=f"{turn} as {other}")
