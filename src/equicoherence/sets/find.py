"""Find data sets by their layout: in the folder that is given, in those below it, and in archives there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from equicoherence.data.archive import ARCHIVE_SUFFIXES, unpack_archive, unpacked
from equicoherence.data.source import BadImage, printable
from equicoherence.notice import say
from equicoherence.sets.archive_names import make_skeleton
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.kinds import SampleSet, VideoSet
from equicoherence.sets.known import DECLARATIONS
from equicoherence.sets.photographs import PHOTOGRAPHS
from equicoherence.sets.tolerant import TOLERANCE, tolerant

LARGEST_ARCHIVE = 2**30  # bytes; larger ones are for people to unpack where there is room
PHOTOGRAPHS_ALONE = ("images", "box")  # kinds of data sets whose image files are all photographs
MOST_FOLDERS = 100  # of one folder, that are looked into for label images before it is taken for photographs


@dataclass(frozen=True)
class Found:
    """A data set and the folder that has its layout. source: the folder or the archive that it was found in."""

    declaration: Declaration
    folder: Path
    source: Path

    @property
    def name(self) -> str:
        """The data set as tables call it; photographs, which may be any, by their folder's name."""
        if self.declaration is not PHOTOGRAPHS:
            return self.declaration.name
        name = self.source.resolve().name
        ending = next((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), "")
        return printable(f"{self.declaration.name} {name[: len(name) - len(ending)]}")

    def open(self, split: SetSplit, *, tolerance: float = TOLERANCE) -> SampleSet | VideoSet:
        """Open one split, in which a share ``tolerance`` of the samples may be bad: see `tolerant`.

        Raises FileNotFoundError, another OSError, ValueError or ImportError, saying which data set is unusable and why:
        files that are missing, that cannot be read or are damaged, and packages that are not installed.
        """
        try:
            return tolerant(self.declaration.open(self.folder, split), f"{self.name} ({split})", tolerance)
        except (OSError, ValueError, ImportError, BadImage) as error:
            known = self.declaration
            kinds = (FileNotFoundError, OSError, ImportError)
            kind = next((each for each in kinds if isinstance(error, each)), ValueError)
            raise kind(
                f"{known.name} ({split}) in {str(self.folder)!r} cannot be used: {error}. Looked for: {known.layout}. "
                f"Get it from {known.source}"
            ) from error


@dataclass(frozen=True)
class _Place:
    """path: a folder or an archive. tree: the folder with its layout. inside: whether a folder above has another's."""

    path: Path
    tree: Path
    inside: bool


def find_sets(root: str | Path, declarations: Sequence[Declaration]) -> list[Found]:
    """Return the data sets in ``root``: itself, a folder or an archive in it, or one more level down; the first of each
    name. Lines on standard error say which are taken, and which others of the same names are not.

    Archives of up to 1 GiB are looked into, and those that hold a data set unpacked into the cache folder; larger or
    damaged ones, and folders that cannot be read, are named and left alone. A folder is not taken for photographs where
    it is, lies in, or holds (down to two levels) a data set with label images or the like.

    Raises FileNotFoundError where there is nothing at ``root``.
    """
    root = Path(root).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"nothing at {str(root)!r}: give a folder that holds data sets")
    found: dict[str, Found] = {}
    seen: dict[str, list[Path]] = {declaration.name: [] for declaration in declarations}

    def settled(path: Path) -> bool:
        return all(any(path.is_relative_to(above) for above in paths) for paths in seen.values())

    for place in _places(root, 2, False, settled):
        try:
            for declaration in declarations:
                before = seen[declaration.name]
                if any(place.path.is_relative_to(path) for path in before) or not _is_at(place, declaration):
                    continue
                if declaration.name in found:
                    say(f"{declaration.name}: {before[0]} is taken, {place.path} is ignored")
                else:
                    folder = place.path if place.path.is_dir() else unpack_archive(place.path)
                    found[declaration.name] = Found(declaration, folder, place.path)
                    say(f"{declaration.name}: {place.path}")
                before.append(place.path)
        except (OSError, ValueError, BadImage) as error:
            say(f"{place.path} is left alone: {error}")
    return [found[declaration.name] for declaration in declarations if declaration.name in found]


def no_set(kind: str, root: str | Path, declarations: Sequence[Declaration]) -> str:
    """Return the message for a folder without a data set of a kind: what was looked for, and where to get it."""
    known = [each for each in declarations if each.kind == kind]
    lines = [f"  {each.name}: {each.layout}\n    from {each.source}" for each in known]
    return f"no data set for {kind} in {str(root)!r}, nor in folders and archives in it; looked for:\n" + "\n".join(
        lines
    )


def _is_at(place: _Place, declaration: Declaration) -> bool:
    if not declaration.is_here(place.tree):
        return False
    return declaration is not PHOTOGRAPHS or not (place.inside or _holds_others(place.tree, depth=2))


def _holds_others(folder: Path, depth: int) -> bool:
    """Say whether a folder, or one below it, has the layout of a data set whose files are not all photographs."""
    if any(each.is_here(folder) for each in DECLARATIONS if each.kind not in PHOTOGRAPHS_ALONE):
        return True
    if not depth:
        return False
    below = (entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".") and entry.is_dir())
    return any(_holds_others(entry, depth - 1) for entry in islice(below, MOST_FOLDERS))


def _places(path: Path, depth: int, inside: bool, settled: Callable[[Path], bool]) -> Iterator[_Place]:
    """Yield a folder or an archive, then what is in the folder, down to ``depth``; none that is ``settled`` already."""
    if settled(path):
        return
    tree: Path | None = None
    try:
        if path.is_dir():
            entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
            inside_below = inside or (depth > 0 and _holds_others(path, depth=0))
        elif not path.name.lower().endswith(ARCHIVE_SUFFIXES) or not path.is_file():
            return
        elif path.stat().st_size > LARGEST_ARCHIVE:
            say(f"{path} is larger than 1 GiB: unpack it yourself to have it looked into")
            return
        else:
            entries, inside_below = [], False
            tree = unpacked(path)  # by an earlier call: listing a large archive again takes long
    except (OSError, BadImage) as error:
        say(f"{path} is left alone: {error}")
        return
    if path.is_dir():
        yield _Place(path, path, inside)
        for entry in entries if depth else []:
            yield from _places(entry, depth - 1, inside_below, settled)
        return
    if tree:
        yield _Place(path, tree, inside)
        return
    with tempfile.TemporaryDirectory() as room:
        try:
            tree = make_skeleton(path, Path(room))
        except ValueError as error:
            say(f"{path} is left alone: {error}")
            return
        yield _Place(path, tree, inside)
