"""``bad_images.txt`` of a run directory: which images could not be decoded, and why, one a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from equicoherence.files import write_aside


def note_bad_images(path: Path, found: Iterable[Mapping[str, str]]) -> None:
    """Add the images of several processes, name -> reason, to those the file holds; it is made with the first."""
    known: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, reason = line.partition("\t")
            known[name] = reason
    before = dict(known)
    for bad in found:
        known.update(bad)
    if known != before:
        write_aside(path, "".join(f"{name}\t{reason}\n" for name, reason in sorted(known.items())))
