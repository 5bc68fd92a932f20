"""The downstream tasks by name, with their default settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, get_origin, get_type_hints

from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.detection.task import Detection
from equicoherence.downstream.homography.task import HomographyEstimation
from equicoherence.downstream.keypoints.task import KeypointDetection
from equicoherence.downstream.localisation import Localisation
from equicoherence.downstream.looks import Looks
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation.task import Task
from equicoherence.notice import say

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        Segmentation,
        Depth,
        Detection,
        Localisation,
        KeypointDetection,
        HomographyEstimation,
        VideoPropagation,
        Looks,
    )
}


def make_tasks(
    names: Sequence[str],
    *,
    fine_tuned: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    every: bool = True,
) -> list[Task]:
    """Return tasks by name with their default settings, but for those given; ``fine_tuned``: of that protocol.

    settings: task -> setting -> value, or text that says one. every: a task without a fine-tuning protocol raises
    ValueError where that is asked for; where False it is left out and a line says so.

    Raises ValueError for a name or a setting that there is not, for settings of a task that is not in ``names``, for a
    value that a setting cannot have, and for ``fine_tuned`` or settings without a task; ImportError for a task whose
    packages are not installed, which is left out where ``every`` is False.
    """
    if not names and (fine_tuned or settings):
        given = "fine-tuning" if fine_tuned else f"settings of {', '.join(settings or ())}"
        raise ValueError(f"{given} is asked for, but no task on data sets; name one of {', '.join(TASKS)}")
    for name in (*names, *(settings or ())):
        if name not in TASKS:
            raise ValueError(f"task {name!r} is unknown; choose among {', '.join(TASKS)}")
    if others := [name for name in settings or () if name not in names]:
        raise ValueError(f"there are settings of {', '.join(others)}, which is not among the tasks {', '.join(names)}")
    made = []
    for name in names:
        hints, given = settings_of(TASKS[name]), dict((settings or {}).get(name, {}))
        if unknown := sorted(set(given) - set(hints)):
            raise ValueError(f"{name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(hints))}")
        if fine_tuned and "encoder" not in hints:
            if every or given:
                raise ValueError(f"{name} has no fine-tuning protocol; leave it out, or leave --fine-tune out")
            say(f"{name} is left out: it has no fine-tuning protocol")
            continue
        if fine_tuned and given.setdefault("encoder", "fine-tuned") != "fine-tuned":
            raise ValueError(f"{name}.encoder is {given['encoder']!r}, but fine-tuning is asked for; leave one out")
        values = {key: read_value(value, hints[key], f"{name}.{key}") for key, value in given.items()}
        if lacking := _lacking(TASKS[name]):
            if every or given:
                raise ImportError(f"{name} needs {lacking}")
            say(f"{name} is left out: it needs {lacking}")
            continue
        try:
            made.append(TASKS[name](**values))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return made


def _lacking(task: type[Task]) -> str:
    """Return which modules a task needs that are not installed, and the command that helps; "" where there is none."""
    lacking = {extra: [name for name in names if find_spec(name) is None] for extra, names in task.needs.items()}
    return "; ".join(
        f"{' and '.join(names)}: pip install 'equicoherence[{extra}]'" for extra, names in lacking.items() if names
    )


def settings_of(task: type[Task]) -> dict[str, Any]:
    """Return the settings of a task with their types."""
    return {name: hint for name, hint in get_type_hints(task).items() if get_origin(hint) is not ClassVar}


def read_value(value: Any, hint: Any, field: str) -> Any:
    """Return the number that a text says where a setting is one; anything else as it is, for the task to check.

    Raises ValueError, quoting value and field, for text that says none.
    """
    if not isinstance(value, str) or hint not in (int, float):
        return value
    try:
        return hint(value)
    except ValueError as error:
        raise ValueError(f"{field} is {value!r}, but must be a {'whole ' if hint is int else ''}number") from error
