"""Names with commas, as fields of a configuration hold them."""

from __future__ import annotations

from collections.abc import Collection

from equicoherence.errors import unknown

NONE = "none"


def listed(text: str) -> list[str]:
    """Return the names in a list with commas, and spaces or none beside them; no name in "none"."""
    return [] if text == NONE else [name.strip() for name in text.split(",")]


def check_listed(field: str, text: str, known: Collection[str]) -> None:
    """Raise ValueError for a name that is not among those known, or that is there twice."""
    names = listed(text)
    for name in names:
        if name not in known:
            raise unknown(field, name, [*known, NONE])
    if len(set(names)) < len(names):
        raise ValueError(f"{field} is {text}: give each name once")
