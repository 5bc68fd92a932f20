"""Callbacks: your own code that a run calls during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from equicoherence.training.config import PretrainConfig
from equicoherence.training.learner import Learner


@dataclass(frozen=True)
class Moment:
    """The state of a run when a callback is called.

    step: steps done.
    total: steps of the whole run.
    config: the resolved configuration.
    out: the run directory.
    learner: encoder, head, method and task; a callback that changes a mode or a weight changes the run.
    losses: of the last step, named, weighted, detached; empty before the first.
    is_main: whether this is the first of several processes, which writes files.
    note: writes numbers by name as a line of ``metrics.jsonl`` and to the trackers; does nothing on other processes.
    """

    step: int
    total: int
    config: PretrainConfig
    out: Path
    learner: Learner
    losses: Mapping[str, Tensor]
    is_main: bool
    note: Callable[[Mapping[str, float]], None]


class Callback:
    """The interface that `pretrain` calls; a subclass overrides what it needs. All processes of a run call it.

    Each step seeds its generators again, so a callback may draw random numbers. A callback with state must restore it
    in ``on_start`` of a resumed run.
    """

    def on_start(self, moment: Moment) -> None:
        """Before the first step, also of a resumed run."""

    def on_step(self, moment: Moment) -> None:
        """After each step of the optimiser. Reading a loss here (``.item()``) waits for the device."""

    def on_checkpoint(self, moment: Moment, path: Path) -> None:
        """After each checkpoint, which is in ``path``."""

    def on_end(self, moment: Moment) -> None:
        """After the run has written its last file; not if it was interrupted or failed.

        The learner has the weights that the run ends with, also where these are of an earlier step.
        """
