"""Find and check what is at the path that a user gives as data."""

from __future__ import annotations

import difflib
import itertools
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from equicoherence.data.archive import ARCHIVE_SUFFIXES, unpack_archive
from equicoherence.data.images import ARRAYS, SUFFIXES, ending_of, holds_image
from equicoherence.data.layout import TABLES, find_layout
from equicoherence.data.lists import LISTS, read_list

_ACCEPTED = (
    f"a folder of images, of .tar shards, of tables ({', '.join(TABLES)}), or in 3DIEBench's layout, an archive "
    f"({', '.join(ARCHIVE_SUFFIXES)}), a table, a list of images ({', '.join(LISTS)}), or 'objects' for rendered ones"
)
_MOST_NAMES = 10_000  # of a folder, among which one is looked for that may be meant


def data_identity(data: str | Path) -> str:
    """Return the same text for all ways to write one data set: ``d``, ``./d/`` and a link to it; for keys and hashes.

    It is the path without links and dots, or "objects".
    """
    return "objects" if data == "objects" else str(_path(data).resolve())


def check_data(data: str | Path) -> None:
    """Check that `open_images` will find images, from names and first bytes, so that a mistake is reported at once.

    Nothing is unpacked or decoded, and no more files are listed than it takes to find one image.

    Raises:
        FileNotFoundError: there is nothing at ``data``; the message names a near path.
        ValueError: no data set, no archive, no image in it, or an ambiguous layout.
    """
    if data == "objects":
        return
    path = located(data)
    if path.is_file():
        if ending_of(path.name) in LISTS:
            read_list(path)
        elif ending_of(path.name) not in TABLES:
            _check_archive(path)
        return
    layout = find_layout(path)
    if layout.poses:
        return
    for folder, shards in zip(layout.sides or (layout.folder,), layout.shards):
        if not shards and not holds_image(folder, SUFFIXES | ARRAYS):
            raise ValueError(f"no images in {str(folder)!r}: files must end in {' '.join(sorted(SUFFIXES))}")


def data_place(data: str | Path) -> Path:
    """Return the folder, table or list that ``data`` names, or the folder of an archive, which is unpacked where it was
    not before."""
    path = located(data)
    return path if path.is_dir() or ending_of(path.name) in (*TABLES, *LISTS) else unpack_archive(path)


def located(data: str | Path) -> Path:
    """Return the folder, archive, table or list that ``data`` names.

    Raises FileNotFoundError or ValueError as `check_data`.
    """
    path = _path(data)
    if path.is_dir() or (path.is_file() and path.name.lower().endswith((*ARCHIVE_SUFFIXES, *TABLES, *LISTS))):
        return path
    if path.exists():
        raise ValueError(f"{str(path)!r} is not a data set: give {_ACCEPTED}")
    meant = next(_near(path), None)
    hint = f" (is it {meant!r} that you mean?)" if meant else ""
    raise FileNotFoundError(f"nothing at {str(path)!r}{hint}: give {_ACCEPTED}")


def _path(data: str | Path) -> Path:
    if not str(data).strip():
        raise ValueError(f"data is {str(data)!r}, which names nothing: give {_ACCEPTED}")
    try:
        return Path(data).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(f"there is no user whose folder {str(data)!r} begins with") from error


def _near(path: Path) -> Iterator[str]:
    """Yield what may be meant by a path that leads nowhere: the nearest name beside the first part that is missing."""
    wrong = path
    while not wrong.parent.is_dir() and wrong != wrong.parent:
        wrong = wrong.parent
    try:
        beside = [entry.name for entry in itertools.islice(wrong.parent.iterdir(), _MOST_NAMES)]
    except OSError:  # a folder that may not be read
        beside = []
    names = {name.lower(): name for name in (*sorted(beside), *(["objects"] if wrong == path else []))}
    for near in difflib.get_close_matches(wrong.name.lower(), names, n=1):
        yield names[near] if wrong == path else str(wrong.with_name(names[near]))


def _check_archive(path: Path) -> None:
    """Raise ValueError for a file that does not begin, or end, as an archive."""
    try:
        whole = zipfile.is_zipfile(path) if path.name.lower().endswith(".zip") else tarfile.is_tarfile(path)
    except (OSError, EOFError, ValueError):  # a compressed file that is cut off
        whole = False
    if not whole:
        raise ValueError(f"{str(path)!r} is damaged or not an archive, fetch it again")
