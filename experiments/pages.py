"""Pages of results: figures are rewritten by the experiment, the reading of them is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equicoherence.files import write_aside

READING = "## Reading"


def write_page(text: str, path: Path) -> None:
    """Write ``text`` to ``path``, followed by the reading (from its heading to the end) that the old page had."""
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    reading = "\n" + old[old.index(READING) :] if READING in old else ""
    write_aside(path, text.rstrip("\n") + "\n" + reading)


def made_with(results: Mapping[str, Any]) -> str:
    """Return date, machine and versions of results in one line."""
    return ", ".join(
        [results["date"], *(f"{k} {v}" for part in ("machine", "versions") for k, v in results[part].items())]
    )
