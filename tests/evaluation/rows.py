"""What tests of scores share: rows with the part they are of, and a bar that notes what is done and may stop it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

QUICK: dict[str, dict[str, Any]] = {
    "transformation": {
        "transformations": ("rotation",),
        "borders": ("content",),
        "probes": ("linear",),
        "train": 30,
        "test": 9,
    }
}


def rows_of(scores: Mapping[str, Any], **fields: object) -> list[dict[str, Any]]:
    """Return the rows of all parts with these values, of a row or of its part."""
    rows = [
        {**row, **{name: part[name] for name in ("task", "control", "data")}}
        for part in scores["parts"].values()
        for row in part["rows"]
    ]
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def values_of(scores: Mapping[str, Any], **fields: object) -> list[float]:
    """Return the values of these rows."""
    return [row["value"] for row in rows_of(scores, **fields)]


class Noted:
    """A bar that notes what is done, and interrupts where a line of it is begun for the time ``at``."""

    def __init__(self, line: str = "", at: int = 1) -> None:
        self.lines: list[str] = []
        self._line, self._at = line, at

    def __call__(self, sequence: Sequence[Any], what: str) -> Iterable[Any]:
        self.lines.append(what)
        if self._line and what == self._line and self.lines.count(what) == self._at:
            raise KeyboardInterrupt
        return sequence


def without_time(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of scores but for how long they took."""
    return {name: {**part, "seconds": 0} for name, part in scores["parts"].items()}
