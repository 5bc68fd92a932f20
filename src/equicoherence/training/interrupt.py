"""Ctrl-C and SIGTERM, turned into a flag that the loop reads between steps."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

SAME = 3.0  # seconds in which a repeated signal is the same request: a cluster and torchrun both pass one on


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, and saved its state first; the command's exit status is 130."""


class StopFlag:
    """Context in which the first SIGINT or SIGTERM sets ``requested``; one more than 3 seconds later acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():  # only there may signals be handled
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._first = True, time.monotonic()
        elif time.monotonic() - self._first > SAME:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()
