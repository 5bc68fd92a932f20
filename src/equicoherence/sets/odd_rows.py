"""Rows of a data set's lists that cannot be used: counted, named, and left out while they are few."""

from __future__ import annotations

from equicoherence.data.source import printable
from equicoherence.notice import say
from equicoherence.sets.tolerant import TOLERANCE


class OddRows:
    """Those of one file. rows: what to call them, such as "annotations"."""

    def __init__(self, where: str, rows: str) -> None:
        self.where, self.rows, self.count, self.example = printable(where), rows, 0, ""

    def note(self, which: str, reason: str) -> None:
        """Count one. which: what to call it, such as "annotation 17"."""
        self.count += 1
        self.example = self.example or printable(f"{which}: {reason}")

    def settle(self, total: int, tolerance: float = TOLERANCE) -> None:
        """Say how many of ``total`` are left out; ValueError where they are more than the share ``tolerance``."""
        if not self.count:
            return
        text = f"{self.where}: {self.count} of {total} {self.rows} cannot be used, such as {self.example}"
        if self.count > tolerance * total:
            raise ValueError(f"{text}; at most {tolerance:.0%} are left out")
        say(f"{text}; left out")
