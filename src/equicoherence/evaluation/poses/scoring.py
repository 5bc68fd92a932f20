"""Scores on objects in poses: features of all renders, read once for all tasks on them."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from equicoherence.data import Loader
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.model import FrozenModel
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
    known, asked, counts = _renders(task, model, train, test, track)
    return TaskScore(list(pose_probes(known, asked, task)), counts=counts)


def score_retrieval(task: ViewRetrieval, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score every predictor that the model and its representations allow."""
    known, asked, counts = _renders(task, model, train, test, track)
    as_sie = task.setting == "sie"
    sources = 1 if as_sie else min(task.sources, asked.views) or asked.views
    retrieve = functools.partial(retrieval, sources=sources, source_counts=as_sie)
    rows: list[Row] = []
    widths = {name: asked.features[name].shape[2] for name in asked.features if name in RETRIEVED}
    for name, width in widths.items():
        if width <= WIDEST:
            found = fit_linear_map(known, name, seed=task.seed)
            rows += retrieve(asked, name, found, LinearMap.name)
    if model.predictor is not None:
        embedded = dataclasses.replace(asked, features={"embedding": model.predictor.embed(asked.features["z_equi"])})
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
    (known, bad_known), (asked, bad_asked) = (
        model.remember(
            (f"renders {split}", loader, task.views),
            lambda loader=loader: read_renders(model, loader, task.views or None, track),
        )
        for split, loader in (("train", train), ("val", test))
    )
    counts = {"train": known.objects, "val": asked.objects}
    damaged = {"damaged in train": bad_known, "damaged in val": bad_asked}
    return known, asked, counts | {name: count for name, count in damaged.items() if count}
