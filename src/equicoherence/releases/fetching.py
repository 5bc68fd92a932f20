"""Weights of a release, fetched into a folder: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from equicoherence.errors import RefusedExisting
from equicoherence.files import alone_at, sha256_of
from equicoherence.releases.manifest import OF_WEIGHTS, ReleasedFile, Weights
from equicoherence.releases.place import PIECE, Reader, opened


class Unverified(RuntimeError):
    """A file is not what the manifest of its release says."""


def fetch(weights: Weights, place: str, out: Path) -> bool:
    """Fetch weights into a folder, and return whether it was needed: a folder that holds them already is left as it is.

    Files go to a folder beside ``out``, which takes its name when size and SHA-256 of all are those of the manifest.
    However this ends, nothing else is left.

    place: of the release, as `read_release` takes it.

    Raises FileExistsError where ``out`` is something else, `Unverified` for a file that is not as the manifest says,
    FileNotFoundError for one that is not there, ConnectionError where the connection breaks.
    """
    with alone_at(out, "fetches"):
        if any(out.iterdir()) if out.is_dir() else out.exists():
            _check_same(weights, out)
            return False
        if out.is_symlink():
            raise RefusedExisting(f"{out} is a link, and a new folder cannot take its name; give another --out")
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp") as name:
            aside = Path(name) / "whole"
            aside.mkdir()
            for file in weights.files:
                with opened(place, file.file) as read, (aside / file.name).open("xb") as target:
                    for piece in _verified(read, file):
                        target.write(piece)
            if out.exists():
                out.rmdir()
            shutil.move(aside, out)
    return True


def _verified(read: Reader, file: ReleasedFile) -> Iterator[bytes]:
    """Yield the pieces of a file; raise `Unverified` as soon as it is known not to be the file of the manifest."""
    digest, count = hashlib.sha256(), 0
    while piece := read(min(PIECE, file.bytes + 1 - count)):
        count += len(piece)
        if count > file.bytes:
            raise _unverified(file, f"is longer than the {file.bytes} bytes")
        digest.update(piece)
        yield piece
    if count < file.bytes:
        raise _unverified(file, f"ends after {count} of the {file.bytes} bytes")
    if digest.hexdigest() != file.sha256:
        raise _unverified(file, f"has SHA-256 {digest.hexdigest()}, not the {file.sha256}")


def _unverified(file: ReleasedFile, what: str) -> Unverified:
    return Unverified(f"{file.file} {what} of the manifest, so nothing of it is kept; fetch it again, or ask for it")


def _check_same(weights: Weights, out: Path) -> None:
    """Raise FileExistsError where a folder does not hold these weights."""
    if not out.is_dir():
        raise RefusedExisting(f"{out} is a file, and weights are a folder; give another --out")
    for file in weights.files:
        path = out / file.name
        if not path.is_file() or path.stat().st_size != file.bytes or sha256_of(path) != file.sha256:
            lack = "differs from" if path.exists() else "is missing, unlike in"
            raise RefusedExisting(
                f"{out} exists, and its {file.name} {lack} {weights.name} of this release; give another --out"
            )
    for name in sorted({*OF_WEIGHTS} - {file.name for file in weights.files}):
        if (out / name).exists():
            raise RefusedExisting(
                f"{out} exists, and has {name}, which {weights.name} of this release has not; give another --out"
            )
