"""The run directory: beginning one, continuing one, reading one back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from equicoherence.data.loader import usable_cores
from equicoherence.notice import say
from equicoherence.training.build import build_learner
from equicoherence.training.checkpoint import latest_checkpoint, load_checkpoint
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import differences, load_config, save_config
from equicoherence.training.learner import Learner
from equicoherence.training.metrics import drop_after


def check_run(config: PretrainConfig, out: Path, resume: bool) -> None:
    """Check that ``out`` can become a new run, or is this run, to be continued; nothing is written.

    Raises FileExistsError for a directory in use, FileNotFoundError for nothing to resume, ValueError for a resumed run
    whose configuration is another.
    """
    if not resume:
        if out.exists() and (not out.is_dir() or any(path.suffix != ".tmp" for path in out.iterdir())):
            raise FileExistsError(f"{out} is in use; continue that run with --resume, or give another --out")
        return
    if not (out / "config.yaml").is_file():
        raise FileNotFoundError(f"{out} holds no run to resume (no config.yaml); start it without --resume")
    before = load_config(out / "config.yaml")
    changed = differences(before, replace(config, sharding=before.sharding))  # checkpoints are the same of either
    if changed:
        raise ValueError(f"{out} was started with another configuration, so it cannot be resumed: {'; '.join(changed)}")


def begin_run(config: PretrainConfig, out: Path, resume: bool, step: int) -> None:
    """Make the directory of a new run, or cut what a resumed one wrote after ``step``, its newest checkpoint's."""
    if resume:
        drop_after(out / "metrics.jsonl", step)
    else:
        out.mkdir(parents=True, exist_ok=True)
        save_config(config, out / "config.yaml")


def check_shared(steps: list[int], out: Path) -> None:
    """Raise ValueError where the processes of a job found checkpoints of different ``steps`` in ``out``."""
    if len(set(steps)) > 1:
        found = ", ".join(f"process {rank} step {step}" for rank, step in enumerate(steps))
        raise ValueError(
            f"the processes of this job see different checkpoints in {out} ({found}; 0 is none): --out must be a "
            "folder that all nodes share"
        )


def check_same(before: dict[str, int], now: dict[str, int], out: Path) -> None:
    """Raise ValueError where a resumed run has other processes or images, and so another order and schedule."""
    if before != now:
        changed = ", ".join(
            f"{name} {before.get(name)} -> {now[name]}" for name in now if before.get(name) != now[name]
        )
        raise ValueError(f"{out} cannot be resumed: {changed}; resume with what it was started with, or start anew")


def keep_threads(before: int) -> None:
    """Take as many threads as a run had that is resumed, for its bits depend on them; say so where there are too few
    cores."""
    if before <= max(usable_cores(), torch.get_num_threads()):
        torch.set_num_threads(before)
    else:
        say(
            f"the run had {before} threads and goes on with {torch.get_num_threads()}, as this machine has no more "
            "cores: its weights will differ by rounding from those of a run that was never stopped"
        )


def resume_state(out: Path) -> dict[str, Any] | None:
    """Return the newest checkpoint's content, None where none was written yet."""
    checkpoint = latest_checkpoint(out)
    return load_checkpoint(checkpoint) if checkpoint else None


def load_run(run: Path) -> tuple[PretrainConfig, Learner]:
    """Return the configuration and the trained learner of a finished run (its safetensors), else of its checkpoint."""
    if not (run / "config.yaml").is_file():
        raise FileNotFoundError(f"{run} is not a run directory: it has no config.yaml")
    config = load_config(run / "config.yaml")
    learner = build_learner(config, pretrained=False)
    if (run / "heads.safetensors").is_file() and (run / "model.safetensors").is_file():
        weights = load_file(run / "heads.safetensors")
        weights |= {f"encoder.model.{name}": t for name, t in load_file(run / "model.safetensors").items()}
        learner.load_state_dict(weights)
    elif state := resume_state(run):
        learner.load_state_dict(state["learner"])
    else:
        raise FileNotFoundError(f"{run} has no weights yet: neither model.safetensors nor a checkpoint")
    return config, learner.eval()


def is_finished(run: Path) -> bool:
    """Return whether a run has written its last file."""
    return (run / "samples.npz").is_file()
