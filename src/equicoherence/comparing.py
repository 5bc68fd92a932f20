"""Train and evaluate several configurations side by side, over seeds; continue where a comparison stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from equicoherence.arms import Arm, at_once, shared_out, work_on
from equicoherence.evaluation import TransformationConfig
from equicoherence.evaluation.results import read_results
from equicoherence.evaluation.tasks import choose_tasks
from equicoherence.methods import METHODS
from equicoherence.reporting.tables import MISSING, deviation, number, rank, summarise
from equicoherence.training import PretrainConfig
from equicoherence.training.config_file import plain_values


def compare(
    configs: Mapping[str, PretrainConfig],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    tasks: Sequence[str] | None = None,
    transformation: TransformationConfig | None = None,
    controls: bool = True,
    jobs: int | None = None,
) -> dict[str, list[Path]]:
    """Train and evaluate every configuration with every seed into ``out/NAME-seedS``; return the runs by name.

    tasks: all that the data allows where None. jobs: runs at once, each in a process of its own where that is more than
    one; as many as the CPU is enough for where None. A run's threads are its share of the CPU's, whatever ``jobs``, so
    its bits do not depend on it. What is done is kept: a finished run is not trained again, a task scored with these
    settings and weights not scored again, an interrupted one is resumed. Of runs that have a random control in common,
    one is scored with it. Raises ValueError before anything is trained for no seed, for tasks that the data does not
    allow, and for a run directory of that name with another configuration.
    """
    if not seeds:
        raise ValueError("there is no seed to compare with; give at least 1")
    allowed = {data: choose_tasks(tasks, data) for data in dict.fromkeys(config.data for config in configs.values())}
    runs: dict[str, list[Path]] = {name: [] for name in configs}
    arms: list[Arm] = []
    floors: set[str] = set()
    for seed in seeds:
        for name, config in configs.items():
            run = out / f"{name}-seed{seed}"
            config = dataclasses.replace(config, name=name, seed=seed)
            own = controls and floor_of(config) not in floors
            floors.add(floor_of(config))
            config = shared_out(config, run, len(configs) * len(seeds))
            arms.append(Arm(config, run, allowed[config.data], transformation, own))
            arms[-1].check()
            runs[name].append(run)
    work_on(arms, at_once(arms, jobs))
    return runs


def floor_of(config: PretrainConfig) -> str:
    """Return what the scores of a run's random control depend on, as text: runs of one text have it in common."""
    encoder, views = config.encoder, config.views
    by_encoder = METHODS[type(config.method)].reads == "features"  # then its own way of pooling is scored, else means
    network = [encoder.name, plain_values(encoder.args), encoder.mean, encoder.std]
    used = [*network, views.source, views.size, by_encoder, config.data, config.seed]
    return json.dumps(used, sort_keys=True)


def summary(runs: Mapping[str, Sequence[Path]]) -> list[dict[str, Any]]:
    """Return mean and spread of all scores of the runs, by name."""
    rows = {name: [_results(run)["rows"] for run in paths] for name, paths in runs.items()}
    return summarise(rows)


def score_rows(
    entries: Sequence[dict[str, Any]], names: Sequence[str], probe: str = "mlp"
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of text: a row per score, a column per name, and one per random control.

    Transformations of several parameters show their mean R2.
    """
    single = {"rotation", "blur", "scale"}
    controlled = list(dict.fromkeys(entry["name"] for entry in entries if entry["control"] == "random"))
    floors = {name: "random" if len(controlled) == 1 else f"{name}, random" for name in controlled}
    lines: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for entry in entries:
        if entry["control"] == "constant" or entry["probe"] not in ("", probe):
            continue
        if entry["task"] == "transformation" and entry["transformation"] not in single and entry["parameter"] != "mean":
            continue
        text = number(entry["mean"], entry["metric"])
        if entry["std"] is not None and not entry["control"]:
            text += f" ±{deviation(entry['std'], entry['metric'])}"
        key = (entry["task"], entry["transformation"], entry["border"], entry["representation"])
        lines.setdefault(key, {})[floors[entry["name"]] if entry["control"] else entry["name"]] = text
    columns = [*names, *dict.fromkeys(floors.values())]
    rows = []
    for task, transformation, border, features in sorted(lines, key=_reading_order):
        title = f"{transformation} R2 ({border})" if task == "transformation" else f"{task} top-1"
        found = lines[task, transformation, border, features]
        rows.append([title, features, *(found.get(column, MISSING) for column in columns)])
    return ["score", "features", *columns], rows


def score_table(entries: Sequence[dict[str, Any]], names: Sequence[str], probe: str = "mlp") -> Table:
    """Return `score_rows` as a table for the terminal."""
    header, rows = score_rows(entries, names, probe)
    table = Table()
    for place, column in enumerate(header):
        table.add_column(column, justify="left" if place < 2 else "right", no_wrap=place < 2, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def score_markdown(runs: Mapping[str, Sequence[Path]]) -> str:
    """Return `score_rows` of runs as a Markdown table, under a line that says all machines, dates and versions."""
    header, rows = score_rows(summary(runs), list(runs))
    results = [_results(run) for paths in runs.values() for run in paths]
    lines = [f"{_provenance(results)}.", "", "| " + " | ".join(header) + " |"]
    lines += ["|---" * len(header) + "|", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines) + "\n"


def _provenance(results: Sequence[dict[str, Any]]) -> str:
    """Return all dates, machines, versions, seeds and data sets of results, and of the evaluations of their tasks."""
    evaluations = [entry for result in results for entry in result["tasks"].values()]
    said = {"": sorted({entry["date"] for entry in evaluations})}
    for part in ("machine", "versions"):
        for name in dict.fromkeys(name for entry in evaluations for name in entry[part]):
            said[f"{name} "] = list(dict.fromkeys(str(entry[part].get(name, MISSING)) for entry in evaluations))
    seeds = ", ".join(str(seed) for seed in sorted({result["seed"] for result in results}))
    data = " / ".join(dict.fromkeys(Path(result["data"]).name for result in results))  # no page needs the folder
    text = ", ".join(name + " / ".join(values) for name, values in said.items())
    return f"{text}; seeds {seeds}; data {data}"


def _reading_order(key: tuple[str, str, str, str]) -> tuple[Any, ...]:
    task, transformation, border, features = key
    return rank("task", task), transformation, rank("border", border), rank("representation", features)


def print_scores(runs: Mapping[str, Sequence[Path]], console: Console | None = None) -> None:
    """Print the table of `score_table` for runs by name."""
    (console or Console()).print(score_table(summary(runs), list(runs)))


def _results(run: Path) -> dict[str, Any]:
    found = read_results(run / "results.json")
    if not found:
        raise FileNotFoundError(f"{run} has no results.json; score it: equicoherence evaluate {run}")
    return found
