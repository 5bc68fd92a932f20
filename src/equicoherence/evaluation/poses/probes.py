"""Pose, color and class of rendered objects from frozen features (SIE's evaluation; Garrido et al., 2023).

Linear and MLP heads for every representation train in one pass over cached features, with SIE's settings: Adam 1e-3
throughout, one pair of views of each object an epoch. Unlike SIE's code the encoder is frozen in whole (no batch
statistics), features and targets are standardised by the training set, so that a head begins near the constant, and R2
takes each target's own mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.devices import float64
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.poses.head_batch import Head, HeadBatch
from equicoherence.evaluation.poses.quaternions import NAMES
from equicoherence.evaluation.poses.renders import Renders, ViewPairs
from equicoherence.evaluation.task import Row
from equicoherence.ridge import CUT, r2_score

if TYPE_CHECKING:
    from equicoherence.evaluation.poses.task import PoseProbes

PARAMETERS = {
    "relative_rotation": NAMES,
    "color": ("floor_hue", "light_hue"),
    "absolute_rotation": NAMES,
}
PAIRED = ("relative_rotation", "color")  # targets from two views; the others are from one
SCORED = 1024  # pairs scored at a time
VARIES = 1e-6  # deviation over the training targets from which on a parameter is scored
Scales = Mapping[str, tuple[Tensor, Tensor]]  # name -> mean, deviation


def pose_probes(train: Renders, test: Renders, config: PoseProbes) -> Iterator[Row]:
    """Yield rows of scores of each representation by each probe; ``train`` and ``test`` hold different objects.

    Metrics: ``r2`` of each parameter and, the main figure, their mean; ``r2_scalar_mean``, SIE's figure, which credits
    a constant with what the targets' means differ by; ``top1``. Every row has a ``floor``, the score of the training
    set's mean or largest class, and a ``chance``, of the test set's own mean or of equally likely classes. A parameter
    that does not vary over the training set, such as a rotation about an axis that no object turns about, has no row
    and no part in the mean; a target of such parameters alone has no rows.
    Raises ValueError where the two sets differ in representations.
    """
    if {k: v.shape[2] for k, v in train.features.items()} != {k: v.shape[2] for k, v in test.features.items()}:
        raise ValueError(f"train has features {list(train.features)}, test {list(test.features)}, or of other widths")
    generator = torch.Generator().manual_seed(config.seed)
    # drawn first: all models get the same test pairs, however many numbers their heads draw
    test_pairs = ViewPairs.join([test.draw(generator) for _ in range(config.test_pairs)])
    train_targets = train.targets(ViewPairs.join([train.draw(generator) for _ in range(config.test_pairs)]))
    standards = {name: standard(features) for name, features in train.features.items()}
    scales = target_scales(train)
    heads = train_heads(train, standards, scales, config, generator)
    truth = test.targets(test_pairs)
    constants = {task: constant(task, train_targets[task], truth[task]) for task in (*PARAMETERS, "class")}
    predicted = predict(heads, test, standards, scales, test_pairs)
    varying = varying_parameters(train)
    floors = {task: scores(task, constants[task], truth[task], varying.get(task)) for task in constants}
    for task, floor in floors.items():
        chance = chances(task, train_targets[task], truth[task], varying.get(task))
        for head, answer in predicted.items():
            if head.task == task:
                found = scores(task, answer, truth[task], varying.get(task))
                for (metric, parameter), value in found.items():
                    yield Row(
                        metric,
                        value,
                        target=task,
                        representation=head.source.split("/")[0],
                        probe=head.kind,
                        parameter=parameter,
                        floor=floor[metric, parameter],
                        chance=chance[metric, parameter],
                    )


def make_heads(train: Renders, config: PoseProbes) -> list[Head]:
    """Return the heads of every representation, linear ones first; sources are ``name/pair`` and ``name/view``."""
    classes = int(train.labels.max()) + 1
    heads = []
    for hidden in (0, config.hidden):
        for name, features in train.features.items():
            for task, parameters in PARAMETERS.items():
                source, views = (f"{name}/pair", 2) if task in PAIRED else (f"{name}/view", 1)
                heads.append(Head(source, views * features.shape[2], task, len(parameters), hidden))
            if not hidden:
                heads.append(Head(f"{name}/view", features.shape[2], "class", classes, 0))
    return heads


def train_heads(
    train: Renders, standards: Scales, scales: Scales, config: PoseProbes, generator: torch.Generator
) -> HeadBatch:
    """Return all heads after ``epochs`` over the objects, every head as if it were trained alone.

    standards: `standard` of each of the features. scales: `target_scales`; the heads predict targets on that scale.
    """
    device = train.rotations.device
    heads = HeadBatch(make_heads(train, config), generator).to(device)
    optimizer = torch.optim.Adam(heads.parameters(), config.learning_rate, fused=True)
    for _ in range(config.epochs):
        for pairs in train.draw(generator).split(config.batch):
            inputs = inputs_of(train, standards, pairs)
            with reading(device):
                answers = heads(inputs)
            targets = train.targets(pairs)
            targets |= {task: (targets[task] - mean) / std for task, (mean, std) in scales.items()}
            losses = [probe_loss(head.task, answer, targets[head.task]) for head, answer in answers.items()]
            torch.stack(losses).sum().backward()  # no parameter is shared, so each gets its own loss's gradient
            optimizer.step()
            optimizer.zero_grad()
    return heads


def probe_loss(task: str, predicted: Tensor, target: Tensor) -> Tensor:
    """Return cross-entropy for ``class``, mean squared error for the others."""
    return F.cross_entropy(predicted.float(), target) if task == "class" else F.mse_loss(predicted.float(), target)


@torch.no_grad()
def predict(
    heads: HeadBatch, renders: Renders, standards: Scales, scales: Scales, pairs: ViewPairs
) -> dict[Head, Tensor]:
    """Return the predictions (N, outputs) of each head for pairs of renders; classes as their index (N,)."""
    parts = []
    for part in pairs.split(SCORED):
        inputs = inputs_of(renders, standards, part)
        with reading(renders.rotations.device):
            answers = heads(inputs)
        found = {}
        for head, answer in answers.items():
            if head.task == "class":
                found[head] = answer.argmax(dim=1)
            else:
                mean, std = scales[head.task]
                found[head] = answer.float() * std + mean
        parts.append(found)
    return {head: torch.cat([part[head] for part in parts]) for head in heads.heads}


def inputs_of(renders: Renders, standards: Scales, pairs: ViewPairs) -> dict[str, Tensor]:
    """Return what the heads read of pairs of renders, as `head_inputs` makes it."""
    rows = pairs.objects[:, None], torch.stack([pairs.first, pairs.second], dim=1)
    return head_inputs({name: features[rows] for name, features in renders.features.items()}, standards)


def head_inputs(both: Mapping[str, Tensor], standards: Scales) -> dict[str, Tensor]:
    """Turn features (N, 2, C) of two views to ``name/pair`` (N, 2 C), standardised, and ``name/view`` (N, C), the
    first's."""
    inputs = {}
    for name, features in both.items():
        mean, std = standards[name]
        scaled = ((features.float() - mean) / std).clamp(-CUT, CUT)
        inputs |= {f"{name}/pair": scaled.flatten(1), f"{name}/view": scaled[:, 0]}
    return inputs


def standard(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and floored deviation (C,) of features (O, V, C), a part of the objects at a time."""
    count = features.shape[0] * features.shape[1]
    parts = features.split(1024)
    mean = torch.stack([float64(part).sum(dim=(0, 1)) for part in parts]).sum(dim=0) / count
    square = torch.stack([(float64(part) - mean).square().sum(dim=(0, 1)) for part in parts]).sum(dim=0) / count
    std = square.sqrt()
    std = std + 0.01 * std.mean() + 1e-6  # a dead channel must not explode where it wakes
    return mean.float().to(features.device), std.float().to(features.device)


def target_scales(train: Renders) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and deviation (P,) of each task's targets but the class, over pairs drawn from the training set."""
    targets = _drawn_targets(train)
    return {task: (targets[task].mean(dim=0), targets[task].std(dim=0) + 1e-6) for task in PARAMETERS}


def varying_parameters(train: Renders) -> dict[str, tuple[str, ...]]:
    """Return the parameters of each task but the class whose deviation over the training set is at least `VARIES`."""
    targets = _drawn_targets(train)
    varies = {task: (float64(targets[task]).std(dim=0) >= VARIES).tolist() for task in PARAMETERS}
    return {task: tuple(name for name, kept in zip(PARAMETERS[task], varies[task]) if kept) for task in PARAMETERS}


def _drawn_targets(train: Renders) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return train.targets(ViewPairs.join([train.draw(generator) for _ in range(8)]))


def scores(
    task: str, predicted: Tensor, truth: Tensor, parameters: Sequence[str] | None = None
) -> dict[tuple[str, str], float]:
    """Return (metric, parameter) -> score. parameters: those that are scored one by one; all of the task if None."""
    if task == "class":
        return {("top1", ""): float((predicted == truth).float().mean())}
    parameters = PARAMETERS[task] if parameters is None else parameters
    if not parameters:
        return {}
    columns = [PARAMETERS[task].index(name) for name in parameters]
    each = r2_score(predicted[:, columns], truth[:, columns])
    found = {("r2", name): float(value) for name, value in zip(parameters, each.cpu())}
    return {("r2", ""): float(each.mean()), **found, ("r2_scalar_mean", ""): r2_scalar_mean(predicted, truth)}


def r2_scalar_mean(predicted: Tensor, target: Tensor) -> float:
    """Return 1 - RSS / TSS over all of (N, P) with one scalar mean, as SIE's code has it.

    A constant predictor does not score 0: about .23 for the relative quaternions of 3DIEBench, whose w averages .53.
    """
    return float(1 - (target - predicted).square().sum() / (target - target.mean()).square().sum().clamp_min(1e-12))


def constant(task: str, train_targets: Tensor, truth: Tensor) -> Tensor:
    """Return the training set's mean, or its largest class, as a prediction of each of ``truth``."""
    return (train_targets.bincount().argmax() if task == "class" else train_targets.mean(dim=0)).expand_as(truth)


def chances(
    task: str, train_targets: Tensor, truth: Tensor, parameters: Sequence[str] | None = None
) -> dict[tuple[str, str], float]:
    """Return the scores of the test set's own mean, or of a draw among equally likely classes."""
    if task == "class":
        return {("top1", ""): 1 / (int(train_targets.max()) + 1)}
    return scores(task, truth.mean(dim=0).expand_as(truth), truth, parameters)
