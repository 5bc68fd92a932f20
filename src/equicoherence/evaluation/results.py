"""``results.json``: rows by task, each task with its settings; one file for one model, its weights and its images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.evaluation.tasks import REVISION, TASKS, settings_of
from equicoherence.evaluation.transformation.regression import TransformationConfig
from equicoherence.notice import say

SAME = ("data", "size", "arch", "random_weights")  # what all scores of a file share, besides the weights


def read_results(path: Path) -> dict[str, Any]:
    """Return the content of a ``results.json``, {} where there is none; ValueError where it is none."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); remove it, or give another --out") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds a {type(found).__name__}, not results; remove it, or give another --out")
    return found


def kept_results(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ``results.json`` holds of this model, {} where that is nothing.

    about: data, size, arch, random_weights and weights of the evaluation to come. A file of other weights, or of an
    earlier revision of the probes, is stale, which a printed line says. Raises ValueError where the data, size or model
    is another, for then the two belong into two files.
    """
    found = read_results(path)
    if not found:
        return {}
    refuse_others(path, found, about, SAME)
    stale = [task for task, entry in _tasks(found).items() if entry["settings"]["revision"] != REVISION]
    why = "an earlier revision of the probes"
    if found.get("weights") != about["weights"]:
        stale, why = list(_tasks(found)) or ["all tasks"], "other weights (the run has been trained on)"
    if stale:
        text = f"{path}: the scores of {', '.join(stale)} are of {why} and are dropped"
        say(text)
    return only(found, [task for task in _tasks(found) if task not in stale])


def refuse_others(path: Path, found: Mapping[str, Any], about: Mapping[str, Any], same: Sequence[str]) -> None:
    """Raise ValueError where a file's content differs from an evaluation to come in one of the fields ``same``."""
    for name in same:
        if name in found and found[name] != about[name]:
            raise ValueError(
                f"{path} holds scores for {name} {found[name]!r}, these are for {about[name]!r}; give another --out"
            )


def only(results: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Any]:
    """Return ``tasks``, ``rows`` and ``seconds`` of results for some of their tasks."""
    return {
        "tasks": {task: entry for task, entry in _tasks(results).items() if task in tasks},
        "rows": [row for row in results.get("rows", ()) if row["task"] in tasks],
        "seconds": {part: s for part, s in results.get("seconds", {}).items() if part.split()[0] in tasks},
    }


def merged(kept: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return two results as one, tasks in their usual order; ``new`` replaces what ``kept`` has of its tasks."""
    old = only(kept, [task for task in _tasks(kept) if task not in new["tasks"]])
    tasks, seconds = old["tasks"] | new["tasks"], old["seconds"] | new["seconds"]
    order = {task: place for place, task in enumerate(TASKS)}
    return {
        "tasks": {task: tasks[task] for task in sorted(tasks, key=order.__getitem__)},
        "rows": sorted([*old["rows"], *new["rows"]], key=lambda row: order[row["task"]]),
        "seconds": dict(sorted(seconds.items(), key=lambda item: order[item[0].split()[0]])),
    }


def owed_tasks(
    results: Mapping[str, Any], tasks: Sequence[str], transformation: TransformationConfig, limit: int, controls: bool
) -> list[str]:
    """Return the tasks that results lack with these very settings, with the random control where ``controls``."""

    def is_there(task: str) -> bool:
        entry = _tasks(results).get(task)
        wanted = json.loads(json.dumps(settings_of(task, transformation, limit)))
        return entry is not None and entry["settings"] == wanted and (entry["controls"] or not controls)

    return [task for task in tasks if not is_there(task)]


def _tasks(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return results.get("tasks", {})
