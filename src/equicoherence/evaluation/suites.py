"""Suites: tasks with settings that are fixed, so that tables of encoders that different people scored can be joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.errors import unknown
from equicoherence.evaluation.classification.task import NearestNeighbours
from equicoherence.evaluation.task import Task
from equicoherence.evaluation.transformation import ABSOLUTE, NOISE, SIDE, transformation_of


@dataclass(frozen=True)
class Figure:
    """A column of a suite's table.

    title: of the column.
    task, target, metric: which score it shows, a main one, of no parameter.
    """

    title: str
    task: str
    target: str
    metric: str


@dataclass(frozen=True)
class Suite:
    """Tasks on given images with fixed settings.

    name: as commands call it.
    settings: task -> setting -> value; other settings have their defaults. They are scored in this order.
    figures: what its table shows.
    representation: which is shown, of tasks that read several.
    baselines: which are scored beside an encoder, at its size.
    """

    name: str
    settings: Mapping[str, Mapping[str, Any]]
    figures: Sequence[Figure]
    representation: str = "backbone"
    baselines: Sequence[str] = ()

    def tasks(self) -> list[Task]:
        """Return the tasks."""
        from equicoherence.evaluation.registry import make_tasks

        return make_tasks(list(self.settings), settings=self.settings)


def _with_noise(*figures: Figure) -> tuple[Figure, ...]:
    """Return figures of transformations, then R2 on noise for each R2 of them that has it."""
    on_noise = (
        Figure(f"{figure.title} on noise", figure.task, figure.target, NOISE)
        for figure in figures
        if figure.metric == "r2" and transformation_of(figure.target) in ON_NOISE
    )
    return *figures, *on_noise


TRANSFORMATIONS = ("rotation", "translation", "scale", "color", "blur")
ON_NOISE = ("rotation", "translation", "scale")  # those that leave isotropic noise as it is; see `leaves_noise`
ROTATION = (
    Figure("rotation R2", "transformation", "rotation", "r2"),
    Figure("absolute rotation R2", "transformation", f"rotation, {ABSOLUTE}", "r2"),
    Figure("rotation sign accuracy", "transformation", f"rotation, {SIDE}", "accuracy"),
)
TRANSLATION = (
    Figure("translation R2", "transformation", "translation", "r2"),
    Figure("absolute translation R2", "transformation", f"translation, {ABSOLUTE}", "r2"),
    Figure("translation sign accuracy", "transformation", f"translation, {SIDE}", "accuracy"),
)
SCALE_COLOR_BLUR = tuple(Figure(f"{name} R2", "transformation", name, "r2") for name in ("scale", "color", "blur"))
NEIGHBOURS = Figure("k-NN accuracy", "knn", "", "top1")
REPEATS = 3
EQUIVARIANCE = Suite(
    "equivariance",
    {
        # first: what it says of the output is what rotation and knn below are read from
        "layers": {"repeats": REPEATS, "limit": NearestNeighbours.limit, "most": 6},
        "transformation": {
            "transformations": TRANSFORMATIONS,
            "borders": ("content",),
            "probes": ("mlp",),
            "repeats": REPEATS,
            "representations": ("backbone",),
        },
        "knn": {},
        "rot4": {},
    },
    (
        *_with_noise(*ROTATION, *TRANSLATION, *SCALE_COLOR_BLUR),
        Figure("rot4 accuracy", "rot4", "", "top1"),
        NEIGHBOURS,
    ),
    baselines=("thumbnail", "spectrum"),
)
ADAPT = Suite(
    "adapt",
    {
        "layers": {"transformations": TRANSFORMATIONS, "train": 2000, "test": 800, "limit": 5000, "most": 6},
        "transformation": {
            "transformations": TRANSFORMATIONS,
            "borders": ("content",),
            "probes": ("mlp",),
            "train": 2000,
            "test": 800,
        },
        "knn": {"limit": 5000},
        "linear": {"limit": 5000},
    },
    (
        *_with_noise(*ROTATION, *TRANSLATION, *SCALE_COLOR_BLUR),
        NEIGHBOURS,
        Figure("linear accuracy", "linear", "", "top1"),
    ),
)
SUITES = {suite.name: suite for suite in (EQUIVARIANCE, ADAPT)}


def named_suite(name: str) -> Suite:
    """Return a suite by its name; ValueError for one that there is not."""
    if name not in SUITES:
        raise unknown("suite", name, SUITES)
    return SUITES[name]
