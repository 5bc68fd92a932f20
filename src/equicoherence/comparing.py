"""Train and evaluate several configurations side by side, over seeds; continue where a comparison stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from equicoherence.evaluation import evaluate
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.model import load_model
from equicoherence.methods import METHODS
from equicoherence.training import PretrainConfig, load_config, pretrain
from equicoherence.training.config_file import differences, plain_values
from equicoherence.training.run import is_finished


def compare(
    configs: Mapping[str, PretrainConfig],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    tasks: Sequence[str] | None = None,
    transformation: TransformationConfig | None = None,
    controls: bool = True,
) -> dict[str, list[Path]]:
    """Train and evaluate every configuration with every seed into ``out/NAME-seedS``; return the runs by name.

    tasks: all that the data allows where None. What is done is kept: a finished run is not trained again, a task scored
    with these settings and weights not scored again, an interrupted one is resumed. Of runs that have a random control
    in common, one is scored with it. Raises ValueError before anything is trained for no seed and for tasks that the
    data does not allow, and for a run directory of that name with another configuration.
    """
    if not seeds:
        raise ValueError("there is no seed to compare with; give at least 1")
    allowed = {data: choose_tasks(tasks, data) for data in dict.fromkeys(config.data for config in configs.values())}
    runs: dict[str, list[Path]] = {name: [] for name in configs}
    floors: set[str] = set()
    for seed in seeds:
        for name, config in configs.items():
            run = out / f"{name}-seed{seed}"
            config = dataclasses.replace(config, name=name, seed=seed)
            train_once(config, run)
            floor = floor_of(config)
            own = controls and floor not in floors
            owed = _owed(run, config.data, allowed[config.data], transformation, LIMIT, own)
            if owed:
                evaluate(run, tasks=owed, transformation=transformation, controls=own, limit=LIMIT)
            floors.add(floor)
            runs[name].append(run)
    return runs


def floor_of(config: PretrainConfig) -> str:
    """Return what the scores of a run's random control depend on, as text: runs of one text have it in common."""
    encoder, views = config.encoder, config.views
    by_encoder = METHODS[type(config.method)].reads == "features"  # then its own way of pooling is scored, else means
    network = [encoder.name, plain_values(encoder.args), encoder.mean, encoder.std]
    used = [*network, views.source, views.size, by_encoder, config.data, config.seed]
    return json.dumps(used, sort_keys=True)


def is_scored(
    run: Path,
    data: str,
    tasks: Sequence[str],
    transformation: TransformationConfig | None,
    limit: int = 20000,
    controls: bool = False,
) -> bool:
    """Return whether a run has results of these very settings, of its present weights and of this revision of the
    probes; ``controls``: also of its random control."""
    return not _owed(run, data, tasks, transformation, limit, controls)


def _owed(
    run: Path, data: str, tasks: Sequence[str], transformation: TransformationConfig | None, limit: int, controls: bool
) -> list[str]:
    """Return the tasks of which a run has no such results."""
    found = read_results(run / "results.json")
    if found.get("data") != data:
        return list(tasks)
    owed = owed_tasks(found, tasks, transformation or TransformationConfig(), limit, controls)
    if len(owed) < len(tasks) and found.get("weights") != fingerprint(load_model(run)):
        return list(tasks)
    return owed


def train_once(config: PretrainConfig, run: Path) -> None:
    """Train ``config`` into ``run``: begin, resume, or leave a finished run of the same configuration as it is."""
    if is_finished(run):
        changed = differences(load_config(run / "config.yaml"), config)
        if changed:
            raise ValueError(f"{run} was trained with another configuration ({'; '.join(changed)}); give another --out")
        return
    pretrain(config, run, resume=(run / "config.yaml").is_file())
