"""The one list of all tasks, and tasks made by name.

A task is declared in a module ``task`` of a subpackage of `equicoherence.evaluation` or `equicoherence.downstream`,
and is found there: no other file names it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, get_args, get_origin

from equicoherence.errors import unknown
from equicoherence.evaluation.task import IMAGES, POSES, Task, settings_of
from equicoherence.notice import say

ROOMS = ("equicoherence.evaluation", "equicoherence.downstream")


@functools.cache
def all_tasks() -> Mapping[str, type[Task]]:
    """Return every task by its name, in order."""
    found = []
    for room in map(importlib.import_module, ROOMS):
        for package in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            if package.ispkg and find_spec(f"{package.name}.task"):
                module = importlib.import_module(f"{package.name}.task")
                found += [each for each in vars(module).values() if _declared(each, module.__name__)]
    if twice := [name for name, count in Counter(task.name for task in found).items() if count > 1]:
        raise ValueError(f"{', '.join(twice)}: the name of two tasks; give one of them another")
    return {task.name: task for task in sorted(found, key=lambda task: task.order)}


def default_tasks(sets: bool) -> list[str]:
    """Return the names of the tasks that are scored where none is named, on data sets or on given images."""
    return [name for name, task in all_tasks().items() if task.by_default and reads_data(task) != sets]


def reads_data(task: type[Task] | Task) -> bool:
    """Return whether a task reads what ``--data`` names, rather than data sets in ``--sets``."""
    return task.kind in (IMAGES, POSES)


def task_class(name: str) -> type[Task]:
    """Return a task by its name; ValueError for one that there is not."""
    if name not in all_tasks():
        raise unknown("task", name, all_tasks())
    return all_tasks()[name]


def make_tasks(
    names: Sequence[str],
    *,
    fine_tuned: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    every: bool = True,
) -> list[Task]:
    """Return tasks by name with their default settings, but for those given.

    fine_tuned: take the protocol that trains the encoder too.
    settings: task -> setting -> value, or text that says one.
    every: a task without a fine-tuning protocol raises ValueError where that is asked for; where False it is left out
        and a line says so.

    Raises ValueError for a name or a setting that there is not, for settings of a task that is not in ``names``, for a
    value that a setting cannot have, and for ``fine_tuned`` or settings without a task; ImportError for a task whose
    packages are not installed, which is left out where ``every`` is False.
    """
    settings = settings or {}
    if not names and (fine_tuned or settings):
        given = "fine-tuning" if fine_tuned else f"settings of {', '.join(settings)}"
        raise ValueError(f"{given} is given without a task; name one of {', '.join(all_tasks())}")
    classes = {name: task_class(name) for name in (*names, *settings)}
    if others := [name for name in settings if name not in names]:
        raise ValueError(f"there are settings of {', '.join(others)}, which is not among the tasks {', '.join(names)}")
    made = []
    for name in names:
        hints, given = settings_of(classes[name]), dict(settings.get(name, {}))
        if unknown := sorted(set(given) - set(hints)):
            raise ValueError(f"{name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(hints))}")
        if fine_tuned and "encoder" not in hints:
            if every or given:
                raise ValueError(f"{name} has no fine-tuning protocol; leave it out, or leave --fine-tune out")
            say(f"{name} is left out: it has no fine-tuning protocol")
            continue
        if fine_tuned and given.setdefault("encoder", "fine-tuned") != "fine-tuned":
            raise ValueError(f"{name}.encoder is {given['encoder']!r}, but --fine-tune is given; leave one out")
        values = {key: read_value(value, hints[key], f"{name}.{key}") for key, value in given.items()}
        if lacking := _lacking(classes[name]):
            if every or given:
                raise ImportError(f"{name} needs {lacking}")
            say(f"{name} is left out: it needs {lacking}")
            continue
        try:
            made.append(classes[name](**values))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return made


def read_value(value: Any, hint: Any, field: str) -> Any:
    """Return the value that a text says: a number, or a list with ``+`` between; anything else as it is.

    Raises ValueError, quoting value and field, for text that says no number where a setting is one.
    """
    if get_origin(hint) is tuple:
        parts = value.split("+") if isinstance(value, str) else value
        return tuple(read_value(part, get_args(hint)[0], field) for part in parts)
    if not isinstance(value, str) or hint not in (int, float):
        return value
    try:
        return hint(value)
    except ValueError as error:
        raise ValueError(f"{field} is {value!r}, but must be a {'whole ' if hint is int else ''}number") from error


def _declared(value: object, module: str) -> bool:
    """Return whether a value of a module is a task that the module declares."""
    own = inspect.isclass(value) and issubclass(value, Task) and value.__module__ == module
    return own and not inspect.isabstract(value)


def _lacking(task: type[Task]) -> str:
    """Return which modules of a task are not installed, and the command that installs them; "" if none is missing."""
    lacking = {extra: [name for name in names if find_spec(name) is None] for extra, names in task.needs.items()}
    return "; ".join(
        f"{' and '.join(names)}: pip install 'equicoherence[{extra}]'" for extra, names in lacking.items() if names
    )
