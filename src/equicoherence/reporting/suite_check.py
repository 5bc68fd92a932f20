"""What scores of a suite must be to stand in its table: of its settings, of the same images, whole, and possible."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from equicoherence.evaluation.classification.task import NearestNeighbours
from equicoherence.evaluation.layers import BEST, OUTPUT
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.store import FILE, as_read
from equicoherence.evaluation.suites import Figure, Suite
from equicoherence.evaluation.task import Task
from equicoherence.evaluation.transformation import NOISE, transformation_of
from equicoherence.models.prefixes import is_baseline
from equicoherence.reporting.comparison.evaluated import Evaluated

R2 = ("r2", NOISE)  # at most 1; other figures of suites are shares
WHERE = {
    NearestNeighbours.name: "on images with labels",
    Layers.name: "but leaves it out for an encoder whose layers cannot be read, which cannot be in this table",
}
Parts = dict[tuple[str, str], dict[str, Any]]
"""Parts of a ``scores.json`` by their control and their task with its variant."""


def check_alike(suite: Suite, evaluated: Sequence[Evaluated]) -> None:
    """Raise ValueError, naming file and task, for scores that do not belong into one table.

    They are of other settings than the suite's, of several data sets, or of other images than the first encoder's. A
    setting that a file does not have was made after it: it had its default. Random weights are checked too.
    """
    seen: dict[str, tuple[Evaluated, Any]] = {}
    for each in evaluated:
        found = _parts(suite, each)
        for task in _tasks(suite):
            for control in ("", "random"):
                if (part := found.get((control, _title(task)))) is None:
                    continue
                given, title = part["settings"], f"{control} {_title(task)}".strip()
                _check_settings(suite, each, task, given, title)
                other, splits = seen.setdefault(_title(task), (each, given.get("splits")))
                if splits != given.get("splits"):
                    raise ValueError(
                        f"{_file(each)}: {title} was scored on other images ({given.get('splits')}) than in "
                        f"{_file(other)} ({splits}), so they stand in no common table"
                    )


def check_whole(suite: Suite, evaluated: Sequence[Evaluated]) -> None:
    """Raise ValueError, naming file, task and value, where a figure of the suite is missing or cannot be.

    Every task of the suite must be there; only baselines have no layers. Each of its figures must be there once for
    each seed of the probe, with an interval where it has one. R2 is at most 1, an accuracy is from 0 to 1, and a score
    is not farther from its interval than half of its width. Random weights must be there once for an architecture and a
    size of images, as `equicoherence evaluate A B` scores them.
    """
    parts = [(each, _parts(suite, each)) for each in evaluated]
    drawn = {(*_architecture(each), title) for each, found in parts for control, title in found if control}
    for each, found in parts:
        for task in _tasks(suite):
            part = found.get(("", _title(task)))
            if part is None and not (task.name == Layers.name and is_baseline(each.about["arch"])):
                raise ValueError(
                    f"{_file(each)} has no scores of {_title(task)}, which suite {suite.name} has; "
                    f"`equicoherence evaluate --suite {suite.name}` scores it, {WHERE.get(task.name, 'of any encoder')}"
                )
            if (*_architecture(each), _title(task)) not in drawn and _has_random_control(each.about):
                raise ValueError(
                    f"{_file(each)} has no scores of random {_title(task)}, those of the same architecture with random "
                    f"weights; `equicoherence evaluate --suite {suite.name}` without --no-controls scores it"
                )
            for control, scored in (("", task), ("random", task.of_control())):
                if (part := found.get((control, _title(task)))) is not None:
                    _check_figures(suite, scored, part, f"{_file(each)}: {f'{control} {_title(task)}'.strip()}")


def _architecture(each: Evaluated) -> tuple[str, str, int]:
    return each.about["arch"], each.about["build"], each.about["size"]


def _has_random_control(about: Mapping[str, Any]) -> bool:
    """Return whether random weights can be scored beside an encoder.

    They cannot for a baseline, nor for a module of which no new weights can be drawn, and bare random weights need no
    others. A file that does not say it is of an encoder that has them, or of a baseline.
    """
    drawn = about.get("has_random_control", not is_baseline(about["arch"]))
    return drawn and not about["random_weights"]


def _check_settings(suite: Suite, each: Evaluated, task: Task, given: Mapping[str, Any], title: str) -> None:
    wanted = as_read({"revision": task.revision, **vars(task)})
    wanted.pop("seed", None)  # which may be any
    fields = dataclasses.fields(task)  # type: ignore[arg-type]
    before = as_read({field.name: field.default for field in fields if field.default is not dataclasses.MISSING})
    if odd := [name for name, value in wanted.items() if given.get(name, before.get(name)) != value]:
        what = ", ".join(f"{name} {given.get(name, before.get(name))!r}, not {wanted[name]!r}" for name in odd)
        raise ValueError(f"{_file(each)}: {title} was scored with {what}, as suite {suite.name} has it")


def _check_figures(suite: Suite, task: Task, part: Mapping[str, Any], where: str) -> None:
    for figure, representation, count in _figures(suite, task):
        place = {"target": figure.target, "metric": figure.metric, "representation": representation, "parameter": ""}
        rows = [row for row in part["rows"] if all(row[field] == value for field, value in place.items())]
        called = f"{figure.title} ({representation})" if task.name == Layers.name else figure.title
        if len(rows) != count:
            raise ValueError(f"{where} has {len(rows)} scores of {called}, not {count} as suite {suite.name} has it")
        for row in rows:
            _check_row(row, figure.metric, f"{where} has {called}")


def _check_row(row: Mapping[str, Any], metric: str, what: str) -> None:
    value, floor, interval = row["value"], row["floor"], row["interval"]
    for number, of in ((value, ""), (floor, " of a constant")):
        if number is not None and (number > 1 or (metric not in R2 and number < 0)):
            possible = "R2 is at most 1" if metric in R2 else "an accuracy is from 0 to 1"
            raise ValueError(f"{what}{of} {number}, but {possible}")
    if interval is None:
        if metric != NOISE:
            raise ValueError(f"{what} {value} without its interval over test images")
        return
    low, high = interval
    near = (high - low) / 2 + 1e-6  # a bootstrap's bias is far smaller than its width
    if not low - near <= value <= high + near:
        raise ValueError(f"{what} {value}, which lies outside of its interval, {low} to {high}")


def _figures(suite: Suite, task: Task) -> Iterator[tuple[Figure, str, int]]:
    """Yield the figures that a part holds, of which representation, and how many of each."""
    repeats = getattr(task, "repeats", 1)
    for figure in suite.figures:
        of = transformation_of(figure.target)
        if isinstance(task, Layers):
            if figure.task == "transformation" and of in task.transformations:
                yield figure, OUTPUT, repeats
                yield figure, BEST, task.layer_repeats
            elif figure.task == "knn":
                yield figure, OUTPUT, 1
                yield figure, BEST, 1
        elif figure.task == task.name and task.variant in ("", of):
            yield figure, suite.representation, repeats


def _tasks(suite: Suite) -> list[Task]:
    return [part for task in suite.tasks() for part in task.parts()]


def _parts(suite: Suite, each: Evaluated) -> Parts:
    """Return a file's parts of the suite; ValueError where it has two of one, on two data sets."""
    titles, found = {_title(task) for task in _tasks(suite)}, Parts()
    for part in each.parts:
        key = part["control"], f"{part['task']} {part['variant']}".strip()
        if key[1] not in titles:
            continue
        if key in found:
            raise ValueError(
                f"{_file(each)}: {key[1]} was scored on {found[key]['data']} and on {part['data']}; evaluate each data "
                "set with an --out of its own"
            )
        found[key] = part
    return found


def _title(task: Task) -> str:
    return f"{task.name} {task.variant}".strip()


def _file(each: Evaluated) -> str:
    return str(each.folder / FILE)
