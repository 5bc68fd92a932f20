"""Pages of results: figures are rewritten by the experiment, the reading of them is kept."""

from __future__ import annotations

from pathlib import Path

from equicoherence.training.checkpoint import write_text

READING = "## Reading"


def write_page(text: str, path: Path) -> None:
    """Write ``text`` to ``path``, followed by the reading (from its heading to the end) that the old page had."""
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    reading = "\n" + old[old.index(READING) :] if READING in old else ""
    write_text(text.rstrip("\n") + "\n" + reading, path)
