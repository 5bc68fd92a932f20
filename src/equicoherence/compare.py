"""Train and evaluate several configurations side by side, over seeds; continue where a comparison stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from equicoherence.evaluation import TransformationConfig, evaluate
from equicoherence.evaluation.evaluate import settings_of
from equicoherence.report.tables import MISSING, number, rank, summarise
from equicoherence.training import PretrainConfig, load_config, pretrain
from equicoherence.training.config import differences
from equicoherence.training.run import is_finished

LIMIT = 20000


def compare(
    configs: Mapping[str, PretrainConfig],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    tasks: Sequence[str] = ("transformation", "knn", "linear"),
    transformation: TransformationConfig | None = None,
    controls: bool = True,
) -> dict[str, list[Path]]:
    """Train and evaluate every configuration with every seed into ``out/NAME-seedS``; return the runs by name.

    What is done is kept: a finished run is not trained again, one with results not evaluated again, an interrupted
    one is resumed. A run directory of that name with another configuration raises ValueError.
    """
    runs: dict[str, list[Path]] = {name: [] for name in configs}
    floors: set[str] = set()  # the random control depends on architecture and seed alone
    for seed in seeds:
        for name, config in configs.items():
            run = out / f"{name}-seed{seed}"
            train_once(dataclasses.replace(config, name=name, seed=seed), run)
            floor = f"{config.encoder} {config.views.size} {seed}"
            if not is_scored(run, config.data, tasks, transformation):
                own = controls and floor not in floors
                evaluate(run, tasks=tasks, transformation=transformation, controls=own, limit=LIMIT)
            floors.add(floor)
            runs[name].append(run)
    return runs


def is_scored(
    run: Path, data: str, tasks: Sequence[str], transformation: TransformationConfig | None, limit: int = LIMIT
) -> bool:
    """Return whether a run has results of these very settings and this revision of the probes."""
    if not (run / "results.json").is_file():
        return False
    found = json.loads((run / "results.json").read_text(encoding="utf-8")).get("settings")
    return found == settings_of(data, tasks, transformation or TransformationConfig(), limit)


def train_once(config: PretrainConfig, run: Path) -> None:
    """Train ``config`` into ``run``: begin, resume, or leave a finished run of the same configuration as it is."""
    if is_finished(run):
        changed = differences(load_config(run / "config.yaml"), config)
        if changed:
            raise ValueError(f"{run} was trained with another configuration ({'; '.join(changed)}); give another --out")
        return
    pretrain(config, run, resume=(run / "config.yaml").is_file())


def summary(runs: Mapping[str, Sequence[Path]]) -> list[dict[str, Any]]:
    """Return mean and spread of all scores of the runs, by name."""
    rows = {name: [_rows(run) for run in paths] for name, paths in runs.items()}
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
            text += f" ±{entry['std']:.3f}".replace("±0", "±")
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
    """Return `score_rows` of runs as a Markdown table, under a line that says machine, date, versions and seeds."""
    header, rows = score_rows(summary(runs), list(runs))
    results = [
        json.loads((run / "results.json").read_text(encoding="utf-8")) for paths in runs.values() for run in paths
    ]
    one = results[0]
    seeds = ", ".join(str(seed) for seed in sorted({result["seed"] for result in results}))
    said = [one["date"], *(f"{k} {v}" for part in ("machine", "versions") for k, v in one[part].items())]
    lines = [f"{', '.join(said)}; seeds {seeds}; data {one['data']}.", "", "| " + " | ".join(header) + " |"]
    lines += ["|---" * len(header) + "|", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines) + "\n"


def _reading_order(key: tuple[str, str, str, str]) -> tuple[Any, ...]:
    task, transformation, border, features = key
    return rank("task", task), transformation, rank("border", border), rank("representation", features)


def print_scores(runs: Mapping[str, Sequence[Path]], console: Console | None = None) -> None:
    """Print the table of `score_table` for runs by name."""
    (console or Console()).print(score_table(summary(runs), list(runs)))


def _rows(run: Path) -> list[dict[str, Any]]:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))["rows"]
