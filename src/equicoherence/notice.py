"""Notices for the user, on standard error."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 10.0  # seconds


def say(text: str) -> None:
    """Print a line on standard error, of any length, without markup; above a progress bar, if there is one."""
    print(f"{text}\n", end="", file=sys.stderr, flush=True)  # in one piece: lines of two threads would mix


@contextmanager
def say_if_slow(text: str, seconds: float = PATIENCE) -> Iterator[None]:
    """Print a line if what is inside takes longer, so that nobody takes it for a program that hangs."""
    timer = threading.Timer(seconds, say, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
