"""Scores of encoders side by side: seeds of one recipe, random weights, a constant. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.names import encoder_names, folder_names
from equicoherence.reporting.summary import FIELDS, Score, joint_floors, pivot, summarise
from equicoherence.reporting.tables import number

RANDOM = "random weights"
KEY = tuple(field for field in FIELDS if field != "control")  # which is a column of its own


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
class Line:
    """One row of a table. entries: column -> its score; a column that was not measured is absent."""

    entries: Mapping[str, Score]

    @property
    def about(self) -> Score:
        """One of the entries, which all are of the same."""
        return next(iter(self.entries.values()))

    @property
    def main(self) -> bool:
        """Whether it is a main figure of its task for any column."""
        return any(entry.main for entry in self.entries.values())

    @property
    def floors(self) -> tuple[float, float] | None:
        """Smallest and largest score of a constant prediction, which may be fitted at each encoder's resolution."""
        return joint_floors(self.entries.values())

    def best(self) -> set[str]:
        """Return the columns whose mean is the best as it is printed, random weights among them.

        None if there are fewer than two columns, if all are printed alike, if the best does not beat all constant
        predictions, or if neither higher nor lower is better.
        """
        if self.about.higher is None:
            return set()
        metric, sign = self.about.metric, 1 if self.about.higher else -1
        printed = {column: number(entry.mean, metric) for column, entry in self.entries.items()}
        if len(set(printed.values())) < 2:
            return set()
        top = max(self.entries, key=lambda column: sign * self.entries[column].mean)
        for floor in self.floors or ():
            if sign * self.entries[top].mean <= sign * floor or number(floor, metric) == printed[top]:
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
    readable = encoder_names((name, arch) for name, arch, *_ in found)
    names, kinds = [readable[kind[:2]] for kind in found], [kind[:3] for kind in found]
    groups: list[Group] = []
    for (name, arch, size, build, config), members in found.items():
        _refuse_twins(members)
        more = f", configuration {config or 'unknown'}" if kinds.count((name, arch, size)) > 1 else ""
        label = readable[name, arch]
        if names.count(label) > 1:
            known = label == arch or label.endswith(f"({arch})")
            label = f"{label} ({size} px{more})" if known else f"{label} ({arch}, {size} px{more})"
        groups += [Group(each, arch, size, build, tuple(own)) for each, own in _seeds(label, members).items()]
    return groups


def _refuse_twins(members: Sequence[Evaluated]) -> None:
    seen: dict[tuple[str, ...], Path] = {}
    for each in members:
        for place in {(row["task"], *(str(row[field]) for field in FIELDS)) for row in each.rows}:
            other = seen.setdefault((each.about["weights"], *place), each.folder)
            if other != each.folder:
                raise ValueError(
                    f"{str(other)!r} and {str(each.folder)!r} both hold {place[0]} of the same weights; give one"
                )


def _seeds(label: str, members: Sequence[Evaluated]) -> dict[str, list[Evaluated]]:
    """Return a column's members by its label; one for each weights, with what tells its folder, where seeds repeat."""
    encoders = {(each.about["seed"], each.about["weights"]) for each in members}
    if len({seed for seed, _ in encoders}) == len(encoders):
        return {label: list(members)}
    of_weights: dict[str, list[Evaluated]] = {}
    for each in members:
        of_weights.setdefault(each.about["weights"], []).append(each)
    names = folder_names([own[0].folder for own in of_weights.values()])
    return {f"{label}, {name}": own for name, own in zip(names, of_weights.values())}


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


def seeds_of(groups: Sequence[Group]) -> dict[str, int]:
    """Return how many encoders each column has."""
    return {each.label: each.seeds for each in groups}


def columns(groups: Sequence[Group]) -> list[str]:
    """Return the columns of a table: encoders, then random weights of each architecture."""
    return [each.label for each in groups] + random_columns(groups)


def random_columns(groups: Sequence[Group]) -> list[str]:
    """Return the columns of random weights that were scored, one for each architecture."""
    scored = [of for of in groups if any(row["control"] for each in of.members for row in each.rows)]
    return list(dict.fromkeys(control_column(groups, each) for each in scored))


def score_lines(groups: Sequence[Group]) -> list[Line]:
    """Return all scores side by side, in reading order.

    Scores of one encoder are averaged first: over repeats, and random weights over those of one seed.
    """
    rows: dict[str, dict[object, list[dict[str, Any]]]] = {}
    for of in groups:
        for each in of.members:
            for row in each.rows:
                column = control_column(groups, of) if row["control"] else of.label
                unit = each.about["seed"] if row["control"] else each.about["weights"]
                rows.setdefault(column, {}).setdefault(unit, []).append(row)
    entries = summarise({column: list(units.values()) for column, units in rows.items()})
    return [Line(of_columns) for _, of_columns in pivot(entries, KEY)]
