"""Downstream scores of encoders side by side: seeds of one recipe, random weights, a constant. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from equicoherence.reporting.comparison.scores import Evaluated, Key
from equicoherence.reporting.tables import number

RANDOM = "random weights"


@dataclass(frozen=True)
class Group:
    """Encoders that count together: seeds of one configuration, of one architecture, built alike, of one input size."""

    label: str
    arch: str
    size: int
    build: str
    members: tuple[Evaluated, ...]

    @property
    def seeds(self) -> int:
        """Count the encoders: what differs in its weights."""
        return len({each.about["weights"] for each in self.members})


@dataclass(frozen=True)
class Entry:
    """mean: over n encoders. std: the sample standard deviation (n - 1), None for one."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Line:
    """One row of a table: column -> what it holds; a column that was not measured is absent.

    floors: smallest and largest score of a constant prediction, which may be fitted at each encoder's resolution.
    """

    key: Key
    entries: dict[str, Entry]
    floors: tuple[float, float] | None

    def best(self) -> set[str]:
        """Return the columns whose mean is the best as it is printed, random weights among them.

        None where fewer than two columns are there, where all are printed alike, and where the best does not beat all
        constant predictions.
        """
        printed = {column: number(entry.mean, self.key.measure) for column, entry in self.entries.items()}
        finite = {column: e.mean for column, e in self.entries.items() if math.isfinite(e.mean)}
        if len(set(printed.values())) < 2 or not finite:
            return set()
        top = (max if self.key.higher else min)(finite, key=lambda column: finite[column])
        for floor in self.floors or ():
            beaten = finite[top] > floor if self.key.higher else finite[top] < floor
            if not beaten or number(floor, self.key.measure) == printed[top]:
                return set()
        return {column for column, text in printed.items() if text == printed[top]}


def group(evaluated: Sequence[Evaluated]) -> list[Group]:
    """Group the seeds of one recipe, in the order they first appear.

    Encoders of one name but other architectures, input sizes or configurations are groups of their own; and so is each
    encoder of a recipe where one seed has several weights, which are no seeds of one thing: folders tell them apart.
    Raises ValueError where the same weights have the same score in two folders.
    """
    found: dict[tuple[str, str, int, str, str | None], list[Evaluated]] = {}
    for each in evaluated:
        about = each.about
        kind = (about["name"], about["arch"], about["size"], about["build"], about.get("config"))
        found.setdefault(kind, []).append(each)
    names, kinds = [name for name, *_ in found], [kind[:3] for kind in found]
    groups: list[Group] = []
    for (name, arch, size, build, config), members in found.items():
        _refuse_twins(members)
        more = f", configuration {config or 'unknown'}" if kinds.count((name, arch, size)) > 1 else ""
        label = name if names.count(name) == 1 else f"{name} ({arch}, {size} px{more})"
        groups += [Group(each, arch, size, build, tuple(own)) for each, own in _seeds(label, members).items()]
    return groups


def _refuse_twins(members: Sequence[Evaluated]) -> None:
    seen: dict[tuple[str, Key, str], Path] = {}
    for each in members:
        for key, control in {(score.key, score.control) for score in each.scores}:
            other = seen.setdefault((each.about["weights"], key, control), each.folder)
            if other != each.folder:
                raise ValueError(
                    f"{str(other)!r} and {str(each.folder)!r} both hold {key.task} of the same weights; give one"
                )


def _seeds(label: str, members: Sequence[Evaluated]) -> dict[str, list[Evaluated]]:
    """Return a column's members by its label; a column for each weights, with its folder, where seeds repeat."""
    encoders = {(each.about["seed"], each.about["weights"]) for each in members}
    if len({seed for seed, _ in encoders}) == len(encoders):
        return {label: list(members)}
    of_weights: dict[str, list[Evaluated]] = {}
    for each in members:
        of_weights.setdefault(each.about["weights"], []).append(each)
    return {f"{label}, {own[0].folder}": own for own in of_weights.values()}


def members(groups: Sequence[Group]) -> list[Evaluated]:
    """Return the encoders of all groups."""
    return [each for of in groups for each in of.members]


def control_column(groups: Sequence[Group], of: Group) -> str:
    """Return the column of random weights of a group's architecture, which is named where there are several."""
    kinds = {(each.arch, each.size, each.build) for each in groups}
    if len(kinds) == 1:
        return RANDOM
    label = f"{RANDOM}, {of.arch}"
    if len({size for arch, size, _ in kinds if arch == of.arch}) > 1:
        label += f", {of.size} px"
    alike = [each.label for each in groups if (each.arch, each.size, each.build) == (of.arch, of.size, of.build)]
    several = len({build for arch, size, build in kinds if (arch, size) == (of.arch, of.size)}) > 1
    return f"{label}, built as {alike[0]}" if several else label


def columns(groups: Sequence[Group]) -> list[str]:
    """Return the columns of a table: encoders, then random weights of each architecture."""
    return [each.label for each in groups] + list(dict.fromkeys(control_column(groups, each) for each in groups))


def lines(groups: Sequence[Group]) -> list[Line]:
    """Return all scores side by side, those of a task together, in the order they first appear.

    Scores of one encoder are averaged first: over repeats, and random weights over those of one seed.
    """
    values: dict[Key, dict[str, dict[object, list[float]]]] = {}
    floors: dict[Key, list[float]] = {}
    for of in groups:
        for each in of.members:
            for score in each.scores:
                column = control_column(groups, of) if score.control else of.label
                unit = each.about["seed"] if score.control else each.about["weights"]
                cells = values.setdefault(score.key, {}).setdefault(column, {})
                cells.setdefault(unit, []).append(score.value)
                if score.floor is not None:
                    floors.setdefault(score.key, []).append(score.floor)
    tasks, sets = (list(dict.fromkeys(getattr(key, field) for key in values)) for field in ("task", "data"))
    return [
        Line(key, {column: _entry(units.values()) for column, units in values[key].items()}, _ends(floors.get(key)))
        for key in sorted(values, key=lambda key: (tasks.index(key.task), sets.index(key.data)))
    ]


def first_metrics(lines: Iterable[Line]) -> list[Line]:
    """Return the main figure of each task, protocol and data set: its first that is of no parameter."""
    found: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        if not line.key.parameter:
            found.setdefault((line.key.task, line.key.protocol, line.key.data), line)
    return list(found.values())


def _entry(units: Iterable[Sequence[float]]) -> Entry:
    means = [math.fsum(values) / len(values) for values in units]
    finite = all(map(math.isfinite, means))
    std = statistics.stdev(means) if finite and len(means) > 1 else None
    return Entry(math.fsum(means) / len(means) if finite else math.nan, std, len(means))


def _ends(values: Sequence[float] | None) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
