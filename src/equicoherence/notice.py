"""Notices for the user, on standard error."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line on standard error, of any length, without markup."""
    print(text, file=sys.stderr, flush=True)
