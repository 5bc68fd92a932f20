"""Read the downstream scores of encoders, and the settings they were taken with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.evaluation.results import read_results
from equicoherence.evaluation.run import FILE
from equicoherence.evaluation.tasks import TASKS
from equicoherence.reporting.comparison.names import data_name, task_name
from equicoherence.reporting.provenance import flatten
from equicoherence.reporting.tables import MISSING

FOLDER = "folder"  # of results.json, which knows its images by nothing else
FILES = "files"  # which files a data set consists of
NEWEST = "newest"  # when a file of it was last changed
SPLITS = "splits."  # which samples it has
INPUT = "input, pixels"
SAMPLES = "samples, "
DAMAGE = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Key:
    """What a score is of. parameter: "" for a main figure. higher: whether higher is better."""

    task: str
    protocol: str
    data: str
    metric: str
    parameter: str
    higher: bool

    @property
    def measure(self) -> str:
        """The metric's id, less what it is of: r2 of "r2 rotation"."""
        return self.metric.split(" ")[0]


@dataclass(frozen=True)
class Score:
    """One score. control: "" of the encoder itself, or ``random``. floor: what a constant prediction scores."""

    key: Key
    control: str
    value: float
    floor: float | None = None


@dataclass(frozen=True)
class Taken:
    """What settings are of. protocol: "" of a task in ``results.json``, which has one for each thing it reads."""

    task: str
    protocol: str
    data: str

    @property
    def on(self) -> str:
        """Protocol and data set, as tables call them."""
        return f"{self.protocol} on {data_name(self.data)}".lstrip()


@dataclass(frozen=True)
class Evaluated:
    """One folder of scores.

    about: the content of its ``downstream.json``. settings: settings and counts as text, of the encoder and of each
    control. remarks: on what was left out.
    """

    folder: Path
    about: dict[str, Any]
    scores: tuple[Score, ...]
    settings: dict[tuple[Taken, str], dict[str, str]]
    remarks: tuple[str, ...] = ()


def read_evaluated(folder: Path) -> Evaluated:
    """Read the scores in a folder: ``downstream.json``, and ``results.json`` where it is of the same encoder.

    Raises ValueError, naming the file, where either is damaged or the first is missing.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise ValueError(f"{path} is missing: give folders that `equicoherence evaluate` wrote downstream scores to")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        plain = [about[field] for field in ("name", "seed", "weights", "size", "arch", "build")]
        hash((*plain, about.get("config")))  # all there, all plain
        scores = [score for part in about["parts"].values() for score in _of_part(part)]
        settings = dict(_settings(part) for part in about["parts"].values())
        for part in about["parts"].values():
            "".join([part.get("caption", ""), *part["pictures"].values()])  # all text
    except DAMAGE as error:
        raise ValueError(f"{path} cannot be read ({error!r}); remove it and evaluate the encoder again") from error
    path = path.with_name("results.json")
    results = read_results(path)
    if results and any(results.get(field) != about[field] for field in ("weights", "size")):
        remark = f"{path} is of other weights, or of another input size, and is left out"
        return Evaluated(Path(folder), about, tuple(scores), settings, (remark,))
    try:
        scores += _of_results(results)
        for task, entry in results.get("tasks", {}).items():
            data = Path(str(results["data"]))
            settings[Taken(task, "", data.name), ""] = flatten(entry["settings"]) | {FOLDER: str(data.resolve())}
    except DAMAGE as error:
        raise ValueError(f"{path} cannot be read ({error!r}); remove it and evaluate the encoder again") from error
    return Evaluated(Path(folder), about, tuple(scores), settings)


def unlike(evaluated: Sequence[Evaluated]) -> list[str]:
    """Say for each task in which settings, counts or data its scores differ, random weights' among them; seeds may."""
    remarks = []
    for taken, fields in settings(evaluated).items():
        odd = [_difference(field, values) for field, values in fields.items() if len(values) > 1 and field != "seed"]
        if odd:
            title = f"{task_name(taken.task)}, {taken.on}"
            remarks.append(f"{title}: not all scores were taken alike, but with {', '.join(odd)}")
    return remarks


def _difference(field: str, values: Sequence[str]) -> str:
    if field == FOLDER:
        return f"data of {len(values)} folders"
    if field == FILES:
        return f"{len(values)} versions of the data's files"
    return f"{field} {' / '.join(values)}"


def is_identity(field: str) -> bool:
    """Return whether a setting says no more than which data they are: compared, but not worth reading."""
    return field in (FOLDER, FILES) or field.startswith(SPLITS)


def settings(evaluated: Sequence[Evaluated]) -> dict[Taken, dict[str, list[str]]]:
    """Return for each task, by its protocol and data set, each setting and count with its different values."""
    found: dict[Taken, list[dict[str, str]]] = {}
    for each in evaluated:
        for (taken, _), fields in each.settings.items():
            found.setdefault(taken, []).append(fields)
    return {
        taken: {
            field: list(dict.fromkeys(fields.get(field, MISSING) for fields in of_taken))
            for field in dict.fromkeys(field for fields in of_taken for field in fields)
        }
        for taken, of_taken in found.items()
    }


def _settings(part: dict[str, Any]) -> tuple[tuple[Taken, str], dict[str, str]]:
    """Return what a part is of and its control, and its settings and counts.

    Its folder is left out: moved data are the same, and files and splits say which they are.
    """
    own: dict[str, Any] = {}
    if part.get("input") is not None:
        height, width = part["input"]
        own[INPUT] = f"{height:d} x {width:d}"
    own |= {field: value for field, value in part["settings"].items() if field not in (FOLDER, NEWEST)}
    counts = {f"{SAMPLES}{split}": count for split, count in part["counts"].items()}
    taken = Taken(str(part["task"]), str(part["protocol"]), str(part["data"]))
    return (taken, str(part["control"])), flatten(own | counts)


def _of_part(part: dict[str, Any]) -> list[Score]:
    """Return the scores of one task on one data set in ``downstream.json``."""
    task, protocol, data = (str(part[field]) for field in ("task", "protocol", "data"))
    return [
        Score(
            Key(task, protocol, data, str(row["metric"]), str(row["parameter"]), bool(part["metrics"][row["metric"]])),
            str(part["control"]),
            float(row["value"]),
            None if row["floor"] is None else float(row["floor"]),
        )
        for row in part["rows"]
    ]


def _of_results(results: dict[str, Any]) -> list[Score]:
    """Return the scores of ``results.json``; a constant guess, which reads nothing, is the floor of all that read.

    What a score is read from, and how, is its protocol. The main figure of a transformation is the mean over its
    parameters, or its only one.
    """
    rows = [row for row in results.get("rows", ()) if row["task"] in TASKS]
    place = ("metric", "transformation", "border")
    floors = {
        tuple(row.get(f, "") for f in ("task", *place, "parameter")): float(row["value"])
        for row in rows
        if row.get("control") == "constant"
    }
    parameters: dict[str, set[str]] = {}
    for row in rows:
        parameters.setdefault(row.get("transformation", ""), set()).add(row.get("parameter", ""))
    scores = []
    for row in rows:
        if row.get("control", "") not in ("", "random"):
            continue
        parameter, probe = row.get("parameter", ""), row.get("probe", "")
        single = parameter == "mean" or len(parameters[row.get("transformation", "")]) == 1
        protocol = f"frozen, {f'{probe} probe of ' if probe else ''}{row['representation']}"
        metric = " ".join(row[field] for field in place if row.get(field))
        data = Path(str(results["data"])).name
        key = Key(row["task"], protocol, data, metric, "" if single else parameter, higher=True)
        floor = floors.get((row["task"], *(row.get(f, "") for f in (*place, "parameter"))))
        scores.append(Score(key, row.get("control", ""), float(row["value"]), floor))
    return scores
