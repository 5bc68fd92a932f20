"""The command that goes on with a run, as a person types it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def resume_command(out: Path, *options: str) -> str:
    """Return what goes on with the run ``out``: its configuration is its own. options: changes, as in a command.

    For a job of several processes, as torchrun starts them on one machine; on several, its launcher is theirs.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    start = "equicoherence" if processes == 1 else f"torchrun --nproc-per-node {processes} -m equicoherence"
    return f"{start} pretrain --resume --out {shlex.quote(str(out))}{''.join(f' {option}' for option in options)}"
