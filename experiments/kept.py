"""Which runs need no scoring: those that hold all scores that are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.store import FILE, as_read, read_scores
from equicoherence.evaluation.task import Task


def holds(run: Path, settings: Mapping[str, Mapping[str, Any]], controls: bool = False) -> bool:
    """Return whether a run has scores of its present weights with these settings, by the tasks' present revisions.

    settings: task -> setting -> value. controls: also scores of random weights.
    """
    scores = read_scores(run / FILE)
    return has_scores(scores, settings, controls) and scores["weights"] == fingerprint(load_model(run))


def has_scores(
    scores: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], controls: bool = False, data: str = ""
) -> bool:
    """Return whether the content of a ``scores.json`` has all scores with these settings, as `holds` does.

    data: the images that they are of, as scores name them; any images if empty.
    """
    tasks = [part for task in make_tasks(list(settings), settings=settings) for part in task.parts()]
    parts = [part for part in scores.get("parts", {}).values() if not data or part["data"] == data]
    asked = [(task, control) for task in tasks for control in (["", "random"] if controls else [""])]
    return all(any(_is_of(part, *each) for part in parts) for each in asked)


def tasks_of(scores: Mapping[str, Any]) -> set[str]:
    """Return the names of the tasks that the content of a ``scores.json`` has scores of."""
    return {part["task"] for part in scores.get("parts", {}).values()}


def _is_of(part: Mapping[str, Any], task: Task, control: str) -> bool:
    place = (part["task"], part["variant"], part["control"])
    settings = as_read({"revision": task.revision, **dataclasses.asdict(task)})  # type: ignore[call-overload]
    return place == (task.name, task.variant, control) and settings.items() <= part["settings"].items()
