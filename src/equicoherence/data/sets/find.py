"""Find data sets by their layout: in the folder that is given, in those below it, and in archives there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from equicoherence.data.archive import ARCHIVE_SUFFIXES, unpack_archive
from equicoherence.data.sets.declaration import Declaration, SetSplit
from equicoherence.data.sets.kinds import SampleSet, VideoSet

LARGEST_ARCHIVE = 2**30  # bytes; larger ones are for people to unpack where there is room


@dataclass(frozen=True)
class Found:
    """A data set and the folder that has its layout."""

    declaration: Declaration
    folder: Path

    def open(self, split: SetSplit) -> SampleSet | VideoSet:
        """Open one split; errors say which data set they are of."""
        try:
            return self.declaration.open(self.folder, split)
        except (FileNotFoundError, ValueError) as error:
            known = self.declaration
            raise type(error)(
                f"{known.name} ({split}) in {str(self.folder)!r} cannot be used: {error}. Looked for: {known.layout}. "
                f"Get it from {known.source}"
            ) from error


def find_sets(root: str | Path, declarations: Sequence[Declaration]) -> list[Found]:
    """Return the data sets in ``root``: itself, a folder or an archive in it, or one more level down; the first of each
    name.

    Archives of up to 1 GiB are unpacked into the cache folder, larger ones named and left alone.
    Raises FileNotFoundError where there is nothing at ``root``.
    """
    root = Path(root).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"nothing at {str(root)!r}: give a folder that holds data sets")
    found: dict[str, Found] = {}
    for folder in _folders(root, depth=2):
        for declaration in declarations:
            if declaration.name not in found and declaration.is_here(folder):
                found[declaration.name] = Found(declaration, folder)
        if len(found) == len(declarations):
            break
    return [found[declaration.name] for declaration in declarations if declaration.name in found]


def no_set(kind: str, root: str | Path, declarations: Sequence[Declaration]) -> str:
    """Return what to tell a person whose folder has no data set of a kind: what was looked for, and where to get it."""
    known = [each for each in declarations if each.kind == kind]
    lines = [f"  {each.name}: {each.layout}\n    from {each.source}" for each in known]
    return f"no data set for {kind} in {str(root)!r}, nor in folders and archives in it; looked for:\n" + "\n".join(
        lines
    )


def _folders(path: Path, depth: int) -> Iterator[Path]:
    """Yield a folder, or that of an archive, then what is in it, down to ``depth``."""
    if path.is_file():
        if not path.name.lower().endswith(ARCHIVE_SUFFIXES):
            return
        if path.stat().st_size > LARGEST_ARCHIVE:
            text = f"{path} is larger than 1 GiB: unpack it yourself to have it looked into"
            Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
            return
        yield unpack_archive(path)
        return
    if not path.is_dir():
        return
    yield path
    if depth:
        for entry in sorted(path.iterdir()):
            if not entry.name.startswith("."):
                yield from _folders(entry, depth - 1)
