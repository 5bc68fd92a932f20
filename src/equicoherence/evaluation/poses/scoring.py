"""Scores on objects in poses: features of all renders, read once for all tasks on them."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from equicoherence.data import Loader
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.poses.linear_map import LinearMap, fit_linear_map
from equicoherence.evaluation.poses.probes import pose_probes
from equicoherence.evaluation.poses.read_renders import read_renders
from equicoherence.evaluation.poses.renders import Renders
from equicoherence.evaluation.poses.retrieval import retrieval
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.notice import say

if TYPE_CHECKING:
    from equicoherence.evaluation.poses.task import PoseProbes, ViewRetrieval

RETRIEVED = ("backbone", "z_equi", "z")
WIDEST = 1024  # channels up to which a map is fitted: it takes the third power of them


def score_pose(task: PoseProbes, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score every representation by the probes."""
    train_renders, test_renders, counts = _renders(task, model, train, test, track)
    return TaskScore(list(pose_probes(train_renders, test_renders, task)), counts=counts)


def score_retrieval(task: ViewRetrieval, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score every predictor that the model and its representations allow."""
    train_renders, test_renders, counts = _renders(task, model, train, test, track)
    as_sie = task.setting == "sie"
    sources = 1 if as_sie else min(task.sources, test_renders.views) or test_renders.views
    retrieve = functools.partial(retrieval, sources=sources, source_counts=as_sie)
    rows: list[Row] = []
    widths = {name: test_renders.features[name].shape[2] for name in test_renders.features if name in RETRIEVED}
    for name, width in widths.items():
        if width <= WIDEST:
            found = fit_linear_map(train_renders, name, seed=task.seed)
            rows += retrieve(test_renders, name, found, LinearMap.name)
    if model.predictor is not None:
        embedding = model.predictor.embed(test_renders.features["z_equi"])
        embedded = dataclasses.replace(test_renders, features={"embedding": embedding})
        rows += retrieve(embedded, "embedding", model.predictor, model.predictor.name)
    if wide := [f"{name} ({width} channels)" for name, width in widths.items() if width > WIDEST]:
        say(f"no retrieval for {', '.join(wide)}: a map is fitted up to {WIDEST} channels")
    if not rows:
        raise RefusedValue(f"retrieval needs features of up to {WIDEST} channels; leave the task out for this encoder")
    return TaskScore(rows, counts=counts)


def _renders(
    task: PoseProbes | ViewRetrieval, model: FrozenModel, train: Loader, test: Loader, track: Track
) -> tuple[Renders, Renders, dict[str, int]]:
    """Return the features of both sides, read once for both tasks, and how many objects and damaged images each has."""
    (train_renders, bad_train), (test_renders, bad_test) = (
        model.remember(
            (f"renders {split}", loader, task.views),
            lambda loader=loader: read_renders(model, loader, task.views or None, track),
        )
        for split, loader in (("train", train), ("val", test))
    )
    counts = {"train": train_renders.objects, "val": test_renders.objects}
    damaged = {"damaged in train": bad_train, "damaged in val": bad_test}
    return train_renders, test_renders, counts | {name: count for name, count in damaged.items() if count}
