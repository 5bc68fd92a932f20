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
from equicoherence.report.tables import MISSING, number, summarise
from equicoherence.training import PretrainConfig, load_config, pretrain
from equicoherence.training.config import differences
from equicoherence.training.run import is_finished


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
    for seed in seeds:
        for name, config in configs.items():
            run = out / f"{name}-seed{seed}"
            train_once(dataclasses.replace(config, name=name, seed=seed), run)
            if not (run / "results.json").is_file():
                evaluate(run, tasks=tasks, transformation=transformation, controls=controls)
            runs[name].append(run)
    return runs


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


def score_table(entries: Sequence[dict[str, Any]], names: Sequence[str], probe: str = "mlp") -> Table:
    """Return a table for the terminal: a line per score, a column per name; controls in columns of their own."""
    columns = list(names)
    lines: dict[tuple, dict[str, str]] = {}
    for entry in entries:
        fields = (entry.get("transformation") or "", entry.get("border") or "", entry.get("representation") or "")
        if entry["task"] == "transformation":
            if entry.get("parameter") not in ("mean", "angle", "sigma", "octaves") or entry.get("probe") not in (
                probe,
                None,
                "",
            ):
                continue
            if entry.get("parameter") == "angle" and fields[0] not in ("rotation",):
                continue
            if fields[0] in ("all",) and entry.get("parameter") != "mean":
                continue
        control = entry.get("control") or ""
        column = f"{control}" if control else entry["name"]
        if control and column not in columns:
            columns.append(column)
        key = (entry["task"], *fields)
        spread = f" ±{entry['std']:.3f}" if entry.get("std") is not None and entry["n"] > 1 else ""
        if control == "constant":
            for other in [k for k in lines if k[:3] == key[:3]] or [key]:
                lines.setdefault(other, {}).setdefault(column, number(entry["mean"], entry["metric"]))
            continue
        lines.setdefault(key, {})[column] = number(entry["mean"], entry["metric"]) + spread
    table = Table(*("task", "transformation", "border", "features"))
    for column in columns:
        table.add_column(column, justify="right")
    for key in sorted(lines, key=lambda k: (k[0] != "transformation", k)):
        if key[3] or key[0] != "transformation":
            table.add_row(*key, *(lines[key].get(column, MISSING) for column in columns))
    return table


def print_scores(runs: Mapping[str, Sequence[Path]], console: Console | None = None) -> None:
    """Print the table of `score_table` for runs by name."""
    (console or Console()).print(score_table(summary(runs), list(runs)))


def _rows(run: Path) -> list[dict[str, Any]]:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))["rows"]
