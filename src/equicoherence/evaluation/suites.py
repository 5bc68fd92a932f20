"""Suites: tasks with settings that are fixed, so that tables of encoders that different people scored can be joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.errors import unknown
from equicoherence.evaluation.classification.task import NearestNeighbours
from equicoherence.evaluation.task import Task
from equicoherence.evaluation.transformation import ABSOLUTE, NOISE, SIDE


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
    """

    name: str
    settings: Mapping[str, Mapping[str, Any]]
    figures: Sequence[Figure]
    representation: str = "backbone"

    def tasks(self) -> list[Task]:
        """Return the tasks."""
        from equicoherence.evaluation.registry import make_tasks

        return make_tasks(list(self.settings), settings=self.settings)


TRANSFORMATIONS = ("rotation", "translation", "scale", "color", "blur")
TURN = (
    Figure("rotation", "transformation", "rotation", "r2"),
    Figure("|rotation|", "transformation", f"rotation, {ABSOLUTE}", "r2"),
    Figure("its side", "transformation", f"rotation, {SIDE}", "accuracy"),
)
TURN_OF_NOISE = (
    Figure("rotation of noise", "transformation", "rotation", NOISE),
    Figure("|rotation| of noise", "transformation", f"rotation, {ABSOLUTE}", NOISE),
)
SHIFT = Figure("shift", "transformation", "translation", "r2")
SCALE_COLOR_BLUR = tuple(Figure(name, "transformation", name, "r2") for name in ("scale", "color", "blur"))
NEIGHBOURS = Figure("k-NN", "knn", "", "top1")
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
        *TURN,
        *TURN_OF_NOISE,
        SHIFT,
        Figure("|shift|", "transformation", f"translation, {ABSOLUTE}", "r2"),
        Figure("its side", "transformation", f"translation, {SIDE}", "accuracy"),
        *SCALE_COLOR_BLUR,
        Figure("rot4", "rot4", "", "top1"),
        NEIGHBOURS,
    ),
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
        *TURN,
        SHIFT,
        *SCALE_COLOR_BLUR,
        *TURN_OF_NOISE,
        Figure("shift of noise", "transformation", "translation", NOISE),
        Figure("scale of noise", "transformation", "scale", NOISE),
        NEIGHBOURS,
        Figure("linear", "linear", "", "top1"),
    ),
)
SUITES = {suite.name: suite for suite in (EQUIVARIANCE, ADAPT)}


def named_suite(name: str) -> Suite:
    """Return a suite by its name; ValueError for one that there is not."""
    if name not in SUITES:
        raise unknown("suite", name, SUITES)
    return SUITES[name]
