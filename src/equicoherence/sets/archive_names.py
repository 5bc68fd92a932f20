"""The content of an archive, from its file names and their first bytes, without unpacking it."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from equicoherence.data.archive import DAMAGED, only_folder
from equicoherence.data.tar import whole_members

MOST_FILES = 200_000
LARGEST_CONTENT = 4 * 2**30  # bytes, unpacked
START = 256  # bytes of each file, which distinguish some layouts

Member = tuple[str, bool, int, bytes]  # name, whether it is a folder, bytes, the first of them


def make_skeleton(archive: Path, folder: Path) -> Path:
    """Make the files of an archive in an empty folder, each cut off after 256 bytes, and return the folder to look in:
    that of `unpack_archive`.

    Links are made as empty files. Raises ValueError, saying why the archive is better left alone, where it is damaged,
    encrypted, not safe to unpack, or larger than 200,000 files or 4 GiB.
    """
    count = content = 0
    made: set[tuple[str, ...]] = set()
    try:
        for name, is_folder, size, start in (
            _zip(archive) if archive.suffix.lower() == ".zip" else _tar(archive, folder)
        ):
            parts = PurePosixPath(name.lstrip("/")).parts
            if ".." in parts:
                raise ValueError(f"a member is not safe to unpack: {name!r}")
            if not parts or parts[0] == "__MACOSX":
                continue
            count, content = count + 1, content + size
            if count > MOST_FILES or content > LARGEST_CONTENT:
                most = f"{MOST_FILES:,} files or {LARGEST_CONTENT // 2**30} GiB"
                raise ValueError(f"it holds more than {most}: unpack it yourself to have it looked into")
            parent = parts if is_folder else parts[:-1]
            if parent not in made:
                folder.joinpath(*parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            if not is_folder:
                with open(os.path.join(folder, *parts), "wb", buffering=0) as file:
                    file.write(start)
    except tarfile.FilterError as error:
        raise ValueError(f"a member is not safe to unpack: {error}") from error
    except DAMAGED as error:
        raise ValueError(f"it is damaged or not an archive, fetch it again: {error}") from error
    except OSError as error:
        raise ValueError(f"it cannot be looked into: {error}") from error
    return only_folder(folder)


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.flag_bits & 1:
                raise ValueError("it is encrypted: unpack it yourself to have it looked into")
            start = b""
            if not member.is_dir():
                with archive.open(member) as file:
                    start = file.read(START)
            yield member.filename, member.is_dir(), member.file_size, start


def _tar(path: Path, folder: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in whole_members(archive):
            tarfile.data_filter(member, str(folder))
            start = b""
            if member.isreg() and member.size:
                assert archive.fileobj is not None
                archive.fileobj.seek(member.offset_data)  # always forwards: a compressed file is read once
                start = archive.fileobj.read(min(START, member.size))
            yield member.name, member.isdir(), member.size, start
