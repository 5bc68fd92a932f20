"""The tasks of an evaluation: what their scores depend on, and which of them the images allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from equicoherence.data import ImageSource, open_images
from equicoherence.evaluation.transformation.regression import TransformationConfig
from equicoherence.notice import say
from equicoherence.training.config_file import plain_values

REVISION = 4  # raised with every change of a probe or protocol, so that old scores are not taken for new ones
TASKS = ("transformation", "knn", "linear")
LIMIT = 20000


def settings_of(task: str, transformation: TransformationConfig, limit: int) -> dict[str, Any]:
    """Return what the scores of a task depend on besides model and images, as ``results.json`` keeps it."""
    own = {"transformation": plain_values(transformation)} if task == "transformation" else {"limit": limit}
    return {"revision": REVISION, **own}


def choose_tasks(tasks: Sequence[str] | None, data: str, limit: int = LIMIT) -> tuple[str, ...]:
    """Return the tasks to score: those asked for or, for None, those that the images allow.

    What is left out for None is printed with the reason. Raises ValueError for a task that is unknown or that the
    images do not allow, and where they allow none.
    """
    for task in tasks or ():
        if task not in TASKS:
            raise ValueError(f"task {task!r} is unknown; choose among {', '.join(TASKS)}")
    train, test = open_images(data, "train"), open_images(data, "val")
    found = {task: obstacle(task, train, test, limit) for task in (TASKS if tasks is None else tasks)}
    obstacles = {task: reason for task, reason in found.items() if reason}
    chosen = tuple(task for task in TASKS if task in found and task not in obstacles)
    text = "; ".join(f"{task} {reason}" for task, reason in obstacles.items())
    if not chosen or (tasks is not None and obstacles):
        other = "; give --tasks transformation, which needs no labels" if {"knn", "linear"} & set(obstacles) else ""
        raise ValueError(f"{data!r} does not allow what is to be scored: {text or 'no task is given'}{other}")
    if obstacles:
        say(f"left out on {data}: {text}")
    return chosen


def obstacle(task: str, train: ImageSource, test: ImageSource, limit: int) -> str:
    """Return why a task cannot be scored on these images, "" where it can."""
    if task == "transformation":
        for split, source in (("train", train), ("val", test)):
            if len(source) < 2:
                return f"needs at least 2 images in split {split}, which has {len(source)}"
        return ""
    labelled = [int((source.labels >= 0).sum()) for source in (train, test)]
    if not all(labelled):
        return "needs labelled images (a folder per class, .cls files in shards, or 'objects')"
    if task == "linear" and min(limit, labelled[0]) < 2:
        return f"needs at least 2 labelled training images, but has {labelled[0]}, of which limit takes {limit}"
    return ""
