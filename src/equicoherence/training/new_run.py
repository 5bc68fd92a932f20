"""Whether a folder can become a new run, or holds one to resume: without torch, so that a mistake is said at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from equicoherence.files import LOCK
from equicoherence.json_file import read_yaml
from equicoherence.training.resume_command import ADAPTS, resume_command
from equicoherence.training.trackers import FOLDER, IDENTITIES

TRACKED = (FOLDER, IDENTITIES)  # what trackers leave in a run
START = ("config.yaml", ADAPTS, "metrics.jsonl", "bad_images.txt", *TRACKED, "checkpoints", "report.html")
"""What a run may have written before its first checkpoint."""


def checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest first."""
    return sorted((run / "checkpoints").glob("step-*.pt"), reverse=True)


def check_new_run(out: Path) -> None:
    """Check that ``out`` can become a new run; nothing is written.

    A run that ended before its first checkpoint may be started again.

    Raises FileExistsError for a directory in use.
    """
    if checkpoints(out) or (out / "model.safetensors").is_file():
        raise FileExistsError(f"{out} holds a run; go on with it: {resume_command(out)}, or give another --out")
    if others := _others(out):
        raise FileExistsError(f"{out} holds other things, such as {others[0]}; give another --out")


def config_to_resume(run: Path) -> Path:
    """Return the configuration file of a run that is to go on. Raises FileNotFoundError where there is no run."""
    if not (run / "config.yaml").is_file():
        raise FileNotFoundError(f"{run} holds no run to resume (no config.yaml); to start one, leave --resume out")
    return run / "config.yaml"


def _others(out: Path) -> list[str]:
    """Return the names in a folder that a new run must not touch, nothing where it is empty or holds a start alone."""
    if not out.exists():
        return []
    if not out.is_dir():
        raise FileExistsError(f"{out} is a file, and a run is a folder; give another --out")
    names = sorted(path.name for path in out.iterdir() if path.suffix != ".tmp" and not path.name.endswith(LOCK))
    try:
        fields = read_yaml(out / "config.yaml", "").keys()
    except (ValueError, FileNotFoundError):
        return [name for name in names if name != ADAPTS]
    from equicoherence.training.config import PretrainConfig  # needs torch

    begun = fields >= {field.name for field in dataclasses.fields(PretrainConfig)}  # not one that a person wrote
    return [name for name in names if name not in START or (name == "config.yaml" and not begun)]
