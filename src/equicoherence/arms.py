"""The runs of a comparison: each is trained and scored, here or in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from equicoherence.data import data_identity, described_once
from equicoherence.errors import Refused, RefusedValue, refusing
from equicoherence.evaluation.jobs import plan_jobs
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.run import chosen_tasks
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.free_memory import free_memory
from equicoherence.notice import say
from equicoherence.side_by_side import STOPPED, Worker, serve, side_by_side
from equicoherence.training import Interrupted, PretrainConfig, load_config, pretrain
from equicoherence.training.config_file import from_dict, plain_values, to_dict
from equicoherence.training.new_run import checkpoints
from equicoherence.training.run import is_finished, other_results

MEMORY = 2 * 2**30  # bytes that an arm in a process of its own may need, besides the images that it keeps


@dataclass(frozen=True)
class Arm:
    """A run that is trained and scored.

    tasks: names; all that the data allows if None.
    settings: task -> setting -> value.
    controls: also score its random control.
    """

    config: PretrainConfig
    run: Path
    tasks: tuple[str, ...] | None
    settings: Mapping[str, Mapping[str, Any]]
    controls: bool

    def check(self) -> None:
        """Raise ValueError where the directory holds a run of another configuration."""
        if (self.run / "config.yaml").is_file():
            refuse_other(self.config, self.run)

    def train(self) -> None:
        """Begin the run, resume it, or leave it as it is where it is finished."""
        with _threads(self.config.threads):
            train_once(self.config, self.run)

    def score(self) -> None:
        """Score what the run has no scores of."""
        with _threads(self.config.threads):
            with refusing():
                chosen = chosen_tasks(self.tasks, False, self.settings)
                jobs = plan_jobs(chosen, self.config.data, None, every=self.tasks is not None)
                frozen = load_model(self.run)
            score_jobs(frozen, jobs, self.run, Scoring(self.controls, device=self.config.device))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Give torch a number of threads, for a while; 0 leaves it as it is."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def train_once(config: PretrainConfig, run: Path) -> None:
    """Train ``config`` into ``run``: begin, resume, or leave a finished run of the same configuration as it is."""
    if is_finished(run):
        refuse_other(config, run)
        return
    pretrain(config, run, resume=bool(checkpoints(run)))


def refuse_other(config: PretrainConfig, run: Path) -> None:
    """Raise ValueError where the directory holds a run of another configuration."""
    before = load_config(run / "config.yaml", whole=True)
    changed = other_results(before, config)
    if data_identity(before.data) != data_identity(config.data):
        changed.append(f"data: {before.data!r} -> {config.data!r}")
    if changed:
        raise RefusedValue(f"{run} was trained with another configuration ({'; '.join(changed)}); give another --out")


def shared_out(config: PretrainConfig, run: Path, arms: int) -> PretrainConfig:
    """Return ``config`` with its number of threads, where it leaves that open: an arm's share of torch's on a CPU.

    It depends on how many arms there are, not on how many are trained at once, for a run's bits depend on it. A run
    that exists keeps its own.
    """
    if config.threads or torch.cuda.is_available():
        return config
    if (run / "config.yaml").is_file():
        return dataclasses.replace(config, threads=load_config(run / "config.yaml").threads)
    return dataclasses.replace(config, threads=max(1, torch.get_num_threads() // arms))


def check_jobs(jobs: int | None) -> None:
    """Raise ValueError for ``jobs`` below 1, and above where several processes train together."""
    if jobs is not None and (jobs < 1 or (jobs > 1 and _together())):
        why = "with processes that train together, 1" if _together() else "at least 1"
        raise ValueError(f"--jobs is {jobs}, but must be {why}")


def _together() -> bool:
    """Return whether several processes, this one among them, train together."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def at_once(arms: Sequence[Arm], jobs: int | None) -> int:
    """Return how many arms to work on at once: ``jobs``; for None as many as the CPU and its memory are enough for.

    One where a GPU trains, where several processes train together, and where a method is none of this package's,
    which another process would not know.
    """
    if jobs is not None:
        return min(jobs, len(arms))
    own = all(type(arm.config.method).__module__.startswith("equicoherence.") for arm in arms)
    if _together() or torch.cuda.is_available() or not own:
        return 1
    threads = max(arm.config.threads or torch.get_num_threads() for arm in arms)
    memory = free_memory() // max(MEMORY + arm.config.cache * 2**20 for arm in arms)
    return max(1, min(len(arms), torch.get_num_threads() // threads, memory))


def work_on(arms: Sequence[Arm], jobs: int) -> None:
    """Train and score all arms, ``jobs`` at once: one after the other here, or each in a process of its own."""
    if jobs == 1:
        try:
            for arm in arms:
                arm.train()
                arm.score()
        except KeyboardInterrupt as stop:  # a run's own sentence would continue that run alone
            raise Interrupted(STOPPED) from stop
        return
    found = str(Path(__file__).parents[1])  # this very package, whatever the working directory holds
    start = f"import sys; sys.path.insert(0, {found!r}); from equicoherence.arms import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", start]
    side_by_side([Worker(arm.run.name, command, _to_json(arm)) for arm in arms], jobs)


def _to_json(arm: Arm) -> str:
    return json.dumps({**plain_values(arm), "config": to_dict(arm.config), "run": str(arm.run)})


def _from_json(job: Mapping[str, Any]) -> Arm:
    tasks = None if job["tasks"] is None else tuple(job["tasks"])
    return Arm(from_dict(job["config"]), Path(job["run"]), tasks, job["settings"], job["controls"])


def main() -> int:
    """Train and score the arm that `work_on` started this process for."""
    arms: list[Arm] = []

    def work(job: Mapping[str, Any]) -> None:
        arms.append(_from_json(job))
        with described_once(arms[0].config.data):  # by the process that started this one
            arms[0].train()
            say("scores")
            arms[0].score()

    return serve(work, lambda error: isinstance(error, Refused))
