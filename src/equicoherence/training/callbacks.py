"""Callbacks: code of your own that a run calls while it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from equicoherence.training.config import PretrainConfig
from equicoherence.training.learner import Learner


@dataclass(frozen=True)
class Moment:
    """Where a run stands when a callback is called.

    step: steps done.
    total: steps of the whole run.
    config: the resolved configuration.
    out: the run's directory.
    learner: encoder, head, method and task as they are now; a callback that changes a mode or a weight changes the run.
    losses: of the last step, named, weighted, detached; empty before the first.
    is_main: whether this is the first of several processes, the one that writes files.
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
    """What `pretrain` calls; a subclass overrides what it needs. All processes of a run call it.

    Each step draws from generators that are seeded anew, so a callback may draw random numbers, too. One that keeps a
    state has to read it back in ``on_start`` where a run is resumed.
    """

    def on_start(self, moment: Moment) -> None:
        """Before the first step, and before the first one after a run is resumed."""

    def on_step(self, moment: Moment) -> None:
        """After each step of the optimiser. To read a loss here (``.item()``) waits for the device."""

    def on_checkpoint(self, moment: Moment, path: Path) -> None:
        """After a checkpoint was written to ``path``."""

    def on_end(self, moment: Moment) -> None:
        """After the run has written its last file; not where it was interrupted or failed."""
