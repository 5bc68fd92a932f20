"""Distributed training with a lost process: the message of the others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

from equicoherence.training.new_run import checkpoints
from equicoherence.training.resume_command import resume_command


class LostProcess(RuntimeError):
    """Another process of the job ended or no longer answers."""


@contextmanager
def name_lost_processes(run: Path) -> Iterator[None]:
    """Raise `LostProcess`, with what to do about it, for the error of a collective that another process left."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):  # gloo's errors have no class
            raise
        if threading.current_thread() is threading.main_thread():
            # the launcher signals those that are left, but this one ends by itself, once it has said why
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        newest = next(iter(checkpoints(run)), None)
        saved = f"its newest checkpoint is {newest.name}" if newest else "it has no checkpoint yet"
        first = str(error).splitlines()[0]
        raise LostProcess(
            f"another process of this job has ended or does not answer ({first}); its own last message, or the "
            f"launcher's summary, says why. The run stops; {saved}; go on with: {resume_command(run)}"
        ) from error
