"""Train and evaluate several configurations over several seeds; continue where a comparison stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.arms import Arm, at_once, check_jobs, shared_out, work_on
from equicoherence.data import described_once
from equicoherence.errors import refusing
from equicoherence.evaluation.jobs import plan_jobs
from equicoherence.evaluation.registry import reads_data
from equicoherence.evaluation.run import chosen_tasks
from equicoherence.files import alone
from equicoherence.methods import METHODS
from equicoherence.training import PretrainConfig
from equicoherence.training.config_file import plain_values
from equicoherence.training.start import started_or_begun


@described_once()
def compare(
    configs: Mapping[str, PretrainConfig],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    tasks: Sequence[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    controls: bool = True,
    jobs: int | None = None,
) -> dict[str, list[Path]]:
    """Train and evaluate every configuration with every seed into ``out/NAME-seedS``; return the runs by name.

    tasks: by default all that the data allow.
    settings: task -> setting -> value.
    controls: also score random weights, once for runs that share them.
    jobs: runs at once, each in its own process if there are several; by default as many as the CPU allows. The number
        of threads of a run does not depend on it, so neither do its bits.

    Finished work is kept: a finished run is not trained again, a task with these settings and weights is not scored
    again, and an interrupted run is resumed. Raises ValueError before any training for an empty list of seeds, for
    tasks that the data do not allow, and for a run directory of that name with another configuration; FileExistsError
    if another process compares into ``out``.
    """
    runs: dict[str, list[Path]] = {name: [] for name in configs}
    arms: list[Arm] = []
    floors: set[str] = set()
    with alone(out, "compares into"):
        with refusing():
            if not seeds:
                raise ValueError("there is no seed to compare with; give at least 1")
            check_jobs(jobs)
            chosen = chosen_tasks(tasks, False, settings)
            if others := [task.name for task in chosen if not reads_data(task)]:
                raise ValueError(
                    f"{', '.join(others)}: of data sets, which runs are not compared on here; leave them out, and "
                    "score the runs with `equicoherence evaluate RUN... --sets DIR`"
                )
            for data in dict.fromkeys(config.data for config in configs.values()):
                plan_jobs(chosen, data, None, every=tasks is not None)
            for seed in seeds:
                for name, config in configs.items():
                    run = out / f"{name}-seed{seed}"
                    config = started_or_begun(dataclasses.replace(config, name=name, seed=seed), run)
                    own = controls and floor_of(config) not in floors
                    floors.add(floor_of(config))
                    config = shared_out(config, run, len(configs) * len(seeds))
                    arms.append(Arm(config, run, None if tasks is None else tuple(tasks), settings or {}, own))
                    arms[-1].check()
                    runs[name].append(run)
            together = at_once(arms, jobs)
        work_on(arms, together)
    return runs


def floor_of(config: PretrainConfig) -> str:
    """Return what the scores of a run's random control depend on, as text: runs of one text have it in common."""
    encoder, views = config.encoder, config.views
    by_encoder = METHODS[type(config.method)].reads == "features"  # then its own way of pooling is scored, else means
    network = [encoder.name, plain_values(encoder.args), encoder.mean, encoder.std]
    used = [*network, views.source, views.size, by_encoder, config.data, config.seed]
    return json.dumps(used, sort_keys=True)
