"""Lines for the person at the screen that are no result: on standard error, as they are."""

from __future__ import annotations

from rich.console import Console


def say(text: str) -> None:
    """Print a line on standard error, however long, nothing in it taken for markup."""
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
