"""The main scores of all tasks in one table, for model cards and `compare`; `short_table` has some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.names import metric_name, source_name, target_name
from equicoherence.reporting.noise_limit import is_noisy, noisy_transformations
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import Score, distinct, joint_floors, pivot, select, summarise_scores
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, floor_cell, with_deviation

PLACE = ("task", "data", "protocol", "target", "border", "metric", "representation", "probe")


def score_grid(entries: Sequence[Score], names: Sequence[str]) -> Grid:
    """Return the main scores: a row for each, a column for each name, for random weights and for a constant.

    Tasks and data sets have their ids, as in commands. The data set is named only if there are several, and protocol
    and probe only if a task has several. A score is shown for all names if it is a main score of one. R2 on noise
    follows the R2 of a transformation, with a warning if it is not near 0. ± is the standard deviation over runs, or
    over repeats of a single run.
    """
    scores = {entry.key(PLACE) for entry in entries if entry.main}
    controls = {_place_of_noise(entry.key(PLACE)) for entry in entries if entry.main and entry.metric == "r2"}
    entries = [entry for entry in select(entries, parameter="") if entry.key(PLACE) in scores | controls]
    controlled = list(dict.fromkeys(entry.name for entry in select(entries, control="random")))
    randoms = {name: "random" if len(controlled) == 1 else f"{name}, random" for name in controlled}
    has_floors = any(entry.floors for entry in entries)
    data = distinct(entries, "data")
    several = {task: _several(select(entries, task=task)) for task in distinct(entries, "task")}
    controls = dict(pivot(select(entries, control="random"), PLACE))
    owns = dict(pivot(select(entries, control=""), PLACE))
    rows = []
    for key, _ in pivot(entries, PLACE):
        own, control = owns.get(key, {}), controls.get(key, {})
        one = next(iter((own or control).values()))
        shown = [*(own.get(name) for name in names), *(control.get(name) for name in controlled)]
        floors = [floor_cell(joint_floors([*own.values(), *control.values()]), one.metric)] if has_floors else []
        probe = one.probe if "probe" in several[one.task] else ""
        source = source_name(one.representation, probe)
        title = _title(one, several[one.task], len(data) > 1)
        title += _warning([own[name] for name in names if name in own], len(names) > 1)
        rows.append([title, source, *map(_mean_cell, shown), *floors])
    constant = ["constant"] if has_floors else []
    return Grid(["score", "reads", *names, *randoms.values(), *constant], rows)


def score_markdown(runs: Mapping[str, Sequence[Path]]) -> str:
    """Return `score_grid` of folders as Markdown, under a line with all machines, dates and versions.

    Raises FileNotFoundError where a folder holds no scores.
    """
    scores = read_runs(runs)
    line = origin_line([each for of_name in scores.values() for each in of_name])
    return f"{line}.\n\n{score_grid(summarise_scores(scores), list(runs)).markdown()}\n"


def read_runs(runs: Mapping[str, Sequence[Path]]) -> dict[str, list[dict[str, Any]]]:
    """Return the ``scores.json`` of each run of each name. Raises FileNotFoundError where a folder holds no scores."""
    found = {name: [read_scores(run / FILE) for run in paths] for name, paths in runs.items()}
    for name, paths in runs.items():
        for run, scores in zip(paths, found[name]):
            if not scores:
                raise FileNotFoundError(f"{run} has no {FILE}; score it: equicoherence evaluate {run}")
    return found


def _place_of_noise(place: tuple[str, ...]) -> tuple[str, ...]:
    """Return the place of the R2 on noise that belongs to a `PLACE`: it has no border."""
    of_noise = {"metric": NOISE, "border": "content"}
    return tuple(of_noise.get(field, value) for field, value in zip(PLACE, place))


def _several(entries: Sequence[Score]) -> set[str]:
    """Return which of probe and protocol differ between the scores of a task."""
    return {field for field in ("probe", "protocol") if len(distinct(entries, field)) > 1}


def _title(entry: Score, several: set[str], with_data: bool) -> str:
    border = f"({entry.border})" if entry.border else ""
    words = entry.task, target_name(entry.target), metric_name(entry.metric), border
    title = " ".join(word for word in words if word)
    title += f" on {entry.data}" if with_data else ""
    return f"{title}, {entry.protocol}" if "protocol" in several else title


def _warning(of_row: Sequence[Score], with_names: bool) -> str:
    """Return what follows the title of a row of R2 on noise, "" where all are near 0."""
    noisy = [entry for entry in of_row if is_noisy(entry)]
    if not noisy:
        return ""
    names = f" of {', '.join(entry.name for entry in noisy)}" if with_names else ""
    return f": not near 0, so do not trust the scores of {', '.join(noisy_transformations(noisy))}{names}"


def _mean_cell(entry: Score | None) -> Cell:
    if entry is None:
        return Cell(MISSING, NUMBER)
    return Cell(with_deviation(entry.mean, None if entry.control else entry.std, entry.metric), NUMBER)
