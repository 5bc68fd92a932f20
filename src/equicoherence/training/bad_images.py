"""``bad_images.txt`` of a run directory: which images could not be decoded, and why, one per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from equicoherence.data import TooManyBadImages
from equicoherence.files import write_aside
from equicoherence.training.resume_command import resume_command


def note_bad_images(path: Path, found: Iterable[Mapping[str, str]]) -> None:
    """Add the images of several processes, name -> reason, to those the file holds; it is made with the first."""
    known: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, reason = line.partition("\t")
            known[name] = reason
    before = dict(known)
    for bad in found:
        known.update(bad)
    if known != before:
        write_aside(path, "".join(f"{name}\t{reason}\n" for name, reason in sorted(known.items())))


@contextmanager
def advise_on_bad_images(run: Path) -> Iterator[None]:
    """Add to `TooManyBadImages` the command that continues the run without them."""
    try:
        yield
    except TooManyBadImages as error:
        if error.tolerable is None:
            raise
        command = resume_command(run, f"--bad-image-tolerance {error.tolerable:g}")
        raise error.advised(f"go on without them: {command}") from error.__cause__
