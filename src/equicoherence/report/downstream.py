"""Read the downstream scores of encoders, and the settings they were taken with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.evaluation.downstream.run import FILE
from equicoherence.evaluation.results import read_results
from equicoherence.evaluation.tasks import TASKS
from equicoherence.report.provenance import flatten
from equicoherence.report.tables import MISSING

FOLDER = "folder"  # the setting that says where the data lie: compared, but nobody else's concern
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


@dataclass(frozen=True)
class Score:
    """One score. control: "" of the encoder itself, or ``random``. floor: what a constant prediction scores."""

    key: Key
    control: str
    value: float
    floor: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """One folder of scores.

    about: the content of its ``downstream.json``. settings: (task, what it is on, control) -> settings and counts as
    text, ``folder`` the images' own. remarks: on what was left out.
    """

    folder: Path
    about: dict[str, Any]
    scores: tuple[Score, ...]
    settings: dict[tuple[str, str, str], dict[str, str]]
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
            [str(title) + file for title, file in part["pictures"].items()]
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
            settings[task, f"on {data.name}", ""] = flatten(entry["settings"]) | {FOLDER: _place(data)}
    except DAMAGE as error:
        raise ValueError(f"{path} cannot be read ({error!r}); remove it and evaluate the encoder again") from error
    return Evaluated(Path(folder), about, tuple(scores), settings)


def unlike(evaluated: Sequence[Evaluated]) -> list[str]:
    """Say for each task in which settings, counts or folders of data its scores differ, random weights' among them;
    seeds may."""
    remarks = []
    for (task, on), fields in settings(evaluated).items():
        odd = [
            f"data of {len(values)} folders" if field == FOLDER else f"{field} {' / '.join(values)}"
            for field, values in fields.items()
            if len(values) > 1 and field != "seed"
        ]
        if odd:
            remarks.append(f"{task}, {on}: not all scores were taken alike, but with {', '.join(odd)}")
    return remarks


def settings(evaluated: Sequence[Evaluated]) -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return for each task, and what it is on, each setting and count with its different values."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for each in evaluated:
        for (task, on, _), fields in each.settings.items():
            found.setdefault((task, on), []).append(fields)
    return {
        title: {
            field: list(dict.fromkeys(fields.get(field, MISSING) for fields in of_title))
            for field in dict.fromkeys(field for fields in of_title for field in fields)
        }
        for title, of_title in found.items()
    }


def _settings(part: dict[str, Any]) -> tuple[tuple[str, str, str], dict[str, str]]:
    """Return a task, what it is on and the control, and its settings and counts."""
    own = dict(part["settings"])
    if FOLDER in own:
        own[FOLDER] = _place(own[FOLDER])
    counts = {f"samples, {split}": count for split, count in part["counts"].items()}
    return (part["task"], f"{part['protocol']} on {part['data']}", str(part["control"])), flatten(own | counts)


def _place(folder: str | Path) -> str:
    return str(Path(folder).resolve())


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
