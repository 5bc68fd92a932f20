"""The first seconds of a command, while modules load: Ctrl-C ends the process at once and without a traceback."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from equicoherence.errors import refusing
from equicoherence.notice import say_if_slow

INTERRUPTED = 130
SLOW = "loading libraries, checking data and models ..."


@contextmanager
def loading() -> Iterator[None]:
    """End the process at Ctrl-C with status 130 and one line, while what is inside runs; nothing is lost there.

    An exception would not do: raised in the middle of an import it can be swallowed, or printed by the interpreter.
    """
    main = threading.current_thread() is threading.main_thread()  # only there may signals be handled
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def preparing() -> Iterator[None]:
    """Mark what a command does before its work: arguments are read and checked, and the modules they need loaded.

    What is wrong is raised as `Refused`, and Ctrl-C ends the process at once. A line says what goes on if it takes long
    (libraries may lie on a slow disk).
    """
    with loading(), refusing(), say_if_slow(SLOW):
        yield


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
