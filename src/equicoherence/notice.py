"""Lines for the person at the screen that are no result: on standard error, as they are."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line on standard error, however long, nothing in it taken for markup."""
    print(text, file=sys.stderr, flush=True)
