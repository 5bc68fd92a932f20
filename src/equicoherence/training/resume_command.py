"""The command that continues a run, as a user types it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

ADAPTS = "adapt.yaml"
"""In the directory of a run that `equicoherence adapt` began: what it is scored on before and after."""


def resume_command(out: Path, *options: str) -> str:
    """Return the command that continues the run ``out`` with its own configuration. options: changes, as in a command.

    For a job of several processes, as torchrun starts them; of several machines the line for each, as in
    docs/many-nodes.md.
    """
    start = "equicoherence"
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        of_node = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
        place = f"{os.environ.get('MASTER_ADDR', 'HOST')}:29500"  # torchrun's own port
        meeting = f"--nnodes {processes // of_node} --rdzv-backend c10d --rdzv-endpoint {place} "
        several = meeting if of_node < processes else ""
        start = f"torchrun {several}--nproc-per-node {of_node} -m equicoherence"
    command = "adapt" if (out / ADAPTS).is_file() else "pretrain"
    return f"{start} {command} --resume --out {shlex.quote(str(out))}{''.join(f' {option}' for option in options)}"
