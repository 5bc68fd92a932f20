"""Rows of ``scores.json`` -> means and spreads: the one aggregator of all tables and pages. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.task import main_rows

FIELDS = (
    "task",
    "data",
    "protocol",
    "target",
    "border",
    "representation",
    "probe",
    "metric",
    "parameter",
    "control",
)
"""The fields that identify a score, in the order in which tables sort by them."""
ORDER = {
    "border": ("", "content", "reflection", "zeros"),
    "representation": ("", "backbone", "z_inv", "z_equi", "z", "joined"),
    "probe": ("", "mlp", "linear", "attentive"),
    "parameter": ("",),
    "control": ("", "random"),
}
"""Known values in the order they are read; others follow as they appear, tasks as `all_tasks` has them."""
RUNS, REPEATS, IMAGES = "runs", "repeats", "images"
PLACE = tuple(field for field in FIELDS if field != "control")
"""The fields that a score shares with that of random weights."""


@dataclass(frozen=True)
class Score:
    """Mean and spread of one score over the runs of one name.

    name: of the runs. The `FIELDS`: what the score is of.
    mean, low, high: mean, smallest and largest over n; std: the sample standard deviation (n - 1), None for n = 1.
    n, over: how many, of "runs", or of "repeats" of the one run that has the score.
    floors: smallest and largest score of a constant prediction, None if that has no meaning.
    main: whether it is a main figure of its task; see `main_rows`.
    higher: whether higher is better; None if neither is.
    at: position on the axis of the task; None if it is not a point of a curve.
    interval: means of the ends of the intervals over test images, None if one is not known.
    """

    name: str
    task: str
    data: str
    protocol: str
    target: str
    border: str
    representation: str
    probe: str
    metric: str
    parameter: str
    control: str
    mean: float
    std: float | None
    low: float
    high: float
    n: int
    over: str
    floors: tuple[float, float] | None
    main: bool
    higher: bool | None
    at: float | None = None
    interval: tuple[float, float] | None = None

    def key(self, fields: Sequence[str] = FIELDS) -> tuple[str, ...]:
        """Return the values of fields."""
        return tuple(getattr(self, field) for field in fields)

    @property
    def runs(self) -> int:
        """How many runs have the score."""
        return self.n if self.over == RUNS else 1

    @property
    def spread_of_runs(self) -> float | None:
        """Standard deviation between runs, None if one has the score."""
        return self.std if self.over == RUNS else None


def flat_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all rows of a ``scores.json`` with the fields of their parts: the `FIELDS`, main and higher.

    higher is None for a metric that the task declares as `Task.unranked`.
    """
    rows = []
    for part in scores.get("parts", {}).values():
        about = {field: part[field] for field in ("task", "data", "protocol", "control")}
        main = {id(row) for row in main_rows(part)}
        declared = all_tasks().get(part["task"])
        unranked = dict.fromkeys(declared.unranked) if declared else {}
        better = {metric: bool(higher) for metric, higher in part["metrics"].items()} | unranked
        for row in part["rows"]:
            rows.append({**row, **about, "main": id(row) in main, "higher": better[row["metric"]]})
    return rows


def summarise(rows_by_run: Mapping[str, Sequence[Iterable[Mapping[str, Any]]]]) -> list[Score]:
    """Return mean and spread of every score over the runs of one name.

    rows_by_run: name -> for each run (seed) its `flat_rows`. Repeats are averaged within a run first. The spread is
        over runs where several have the score, else over the repeats of the one that has it.
    """
    entries = []
    for name, runs in rows_by_run.items():
        scores: dict[tuple[str, ...], list[list[Mapping[str, Any]]]] = {}
        for rows in runs:
            of_run: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
            for row in rows:
                of_run.setdefault(tuple(row[field] for field in FIELDS), []).append(row)
            for key, repeats in of_run.items():
                scores.setdefault(key, []).append(repeats)
        entries += [_score(name, key, of_runs) for key, of_runs in scores.items()]
    return entries


def summarise_scores(scores: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Score]:
    """Return `summarise` of the content of files. scores: name -> for each run (seed) its ``scores.json``."""
    return summarise({name: [flat_rows(each) for each in runs] for name, runs in scores.items()})


def select(entries: Iterable[Score], **fields: str | Sequence[str]) -> list[Score]:
    """Return the entries whose fields have the given value, or one of the given values."""
    wanted = {field: (value,) if isinstance(value, str) else tuple(value) for field, value in fields.items()}
    return [entry for entry in entries if all(getattr(entry, f) in values for f, values in wanted.items())]


def distinct(entries: Iterable[Score], field: str) -> list[str]:
    """Return the values of a field that occur, in reading order."""
    order = tuple(all_tasks()) if field == "task" else ORDER.get(field, ())
    found = dict.fromkeys(getattr(entry, field) for entry in entries)
    return sorted(found, key=lambda value: order.index(value) if value in order else len(order))


def pivot(entries: Sequence[Score], index: Sequence[str]) -> list[tuple[tuple[str, ...], dict[str, Score]]]:
    """Put names side by side: one (key, {name: entry}) for each combination of ``index`` fields, in reading order."""
    rows: dict[tuple[str, ...], dict[str, Score]] = {}
    for entry in entries:
        rows.setdefault(entry.key(index), {})[entry.name] = entry
    places = [{value: place for place, value in enumerate(distinct(entries, field))} for field in index]
    return sorted(rows.items(), key=lambda row: [place[value] for place, value in zip(places, row[0])])


def random_scores(entries: Iterable[Score], sources: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], Score]:
    """Return the score of random weights for each name and `PLACE`, where one was taken.

    sources: name -> the names under which random weights of its architecture may stand, in the order they are taken.
    """
    found = {(entry.name, *entry.key(PLACE)): entry for entry in entries if entry.control == "random"}
    places = dict.fromkeys(key[1:] for key in found)
    return {
        (name, *place): found[source, *place]
        for name, names in sources.items()
        for place in places
        for source in reversed(names)
        if (source, *place) in found
    }


def spread(score: Score) -> tuple[float, float, str]:
    """Return the ends of a score's whisker, and its kind; "" for a single value.

    Over seeds if there are several; else the interval over test images, else the repeats of the probe.
    """
    if score.over == RUNS and score.n > 1:
        return score.low, score.high, RUNS
    if score.interval is not None:
        return *score.interval, IMAGES
    if score.n > 1:
        return score.low, score.high, REPEATS
    return score.mean, score.mean, ""


def joint_floors(entries: Iterable[Score]) -> tuple[float, float] | None:
    """Return the smallest and the largest floor of entries, None if they have none."""
    ends = [floor for entry in entries for floor in entry.floors or ()]
    return (min(ends), max(ends)) if ends else None


def _score(name: str, key: tuple[str, ...], runs: Sequence[Sequence[Mapping[str, Any]]]) -> Score:
    rows = [row for repeats in runs for row in repeats]
    values = [_mean([row["value"] for row in repeats]) for repeats in runs]
    if len(runs) == 1:
        values = [float(row["value"]) for row in rows]
    floors = [float(row["floor"]) for row in rows if row["floor"] is not None]
    return Score(
        name,
        *key,
        mean=_mean(values),
        std=statistics.stdev(values) if len(values) > 1 else None,
        low=min(values),
        high=max(values),
        n=len(values),
        over=RUNS if len(runs) > 1 else REPEATS,
        floors=(min(floors), max(floors)) if floors else None,
        main=any(row["main"] for row in rows),
        higher=rows[0]["higher"],
        at=rows[0]["at"],
        interval=_interval(rows),
    )


def _interval(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    known = [row["interval"] for row in rows if row["interval"] is not None]
    if len(known) < len(rows):
        return None
    return _mean([low for low, _ in known]), _mean([high for _, high in known])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
