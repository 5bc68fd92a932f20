"""Train and evaluate several configurations side by side, over seeds; continue where a comparison stopped."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.errors import RefusedValue, refusing
from equicoherence.evaluation.fingerprint import floor_kind
from equicoherence.evaluation.jobs import plan_jobs
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.run import Scoring, chosen_tasks, score_jobs
from equicoherence.files import alone
from equicoherence.training import PretrainConfig, load_config, pretrain
from equicoherence.training.checkpoint import checkpoints
from equicoherence.training.run import is_finished, other_results, same_place


def compare(
    configs: Mapping[str, PretrainConfig],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    tasks: Sequence[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    controls: bool = True,
) -> dict[str, list[Path]]:
    """Train and evaluate every configuration with every seed into ``out/NAME-seedS``; return the runs by name.

    tasks: all that the data allows where None.
    settings: task -> setting -> value.

    What is done is kept: a finished run is not trained again, a task scored with these settings and weights not scored
    again, an interrupted one is resumed. Of runs that have a random control in common, one is scored with it.
    Raises ValueError before anything is trained for no seed and for tasks that the data does not allow, and for a run
    directory of that name with another configuration; FileExistsError where another process compares into ``out``.
    """
    with refusing():
        if not seeds:
            raise ValueError("there is no seed to compare with; give at least 1")
        chosen, places = chosen_tasks(tasks, False, settings), dict.fromkeys(each.data for each in configs.values())
        jobs = {data: plan_jobs(chosen, data, None, every=tasks is not None) for data in places}
    runs: dict[str, list[Path]] = {name: [] for name in configs}
    floors: set[object] = set()
    with alone(out, "compares into"):
        for seed, (name, config) in itertools.product(seeds, configs.items()):
            run = out / f"{name}-seed{seed}"
            train_once(dataclasses.replace(config, name=name, seed=seed), run)
            frozen = load_model(run)
            floor = (config.data, floor_kind(frozen))
            score_jobs(frozen, jobs[config.data], run, Scoring(controls and floor not in floors))
            floors.add(floor)
            runs[name].append(run)
    return runs


def train_once(config: PretrainConfig, run: Path) -> None:
    """Train ``config`` into ``run``: begin, resume, or leave a finished run of the same configuration as it is."""
    if is_finished(run):
        before = load_config(run / "config.yaml")
        changed = other_results(before, config)
        if not same_place(before.data, config.data):
            changed.append(f"data: {before.data!r} -> {config.data!r}")
        if changed:
            raise RefusedValue(
                f"{run} was trained with another configuration ({'; '.join(changed)}); give another --out"
            )
        return
    pretrain(config, run, resume=bool(checkpoints(run)))
