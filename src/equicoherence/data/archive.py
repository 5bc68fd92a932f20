"""Archives of images, unpacked once into the cache folder."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from equicoherence.data.cache import cache_folder
from equicoherence.data.tar import whole_members

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
"""Endings of archives, compared in lower case."""
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)
"""What reading an archive raises that is damaged, or none."""


def unpack_archive(path: Path) -> Path:
    """Unpack a .tar, .tar.gz, .tgz or .zip file once and return the folder.

    The folder is in the cache, named after the archive's path, size and modification time. The archive is unpacked into
    a temporary folder that is renamed at the end, so neither an interruption nor a second process leaves half of it. If
    the archive contains a single folder, that folder is returned.

    Raises:
        FileNotFoundError: there is no file at ``path``.
        ValueError: the file is not a whole archive, or a member would be written outside the folder.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no archive at {str(path)!r}: give the path of a {', '.join(ARCHIVE_SUFFIXES)} file")
    if not path.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise ValueError(f"{str(path)!r} is not an archive: its name must end in {', '.join(ARCHIVE_SUFFIXES)}")
    target = _place(path)
    if not _is_unpacked(target):
        target.parent.mkdir(exist_ok=True)
        _unpack_aside(path, target)
    return only_folder(target)


def unpacked(path: Path) -> Path | None:
    """Return the folder of `unpack_archive` where an archive was unpacked before, else None."""
    target = _place(path)
    return only_folder(target) if _is_unpacked(target) else None


def _is_unpacked(target: Path) -> bool:
    """Say whether an archive was unpacked there. Some that clean up remove the files of a folder and leave it."""
    return target.is_dir() and any(target.iterdir())


def only_folder(folder: Path) -> Path:
    """Return the folder that is all a folder holds, else the folder itself."""
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def _place(path: Path) -> Path:
    state = path.stat()
    identity = f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}"
    return cache_folder() / "archives" / hashlib.sha256(os.fsencode(identity)).hexdigest()[:24]


def _unpack_aside(path: Path, target: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        _extract(path, aside)
        shutil.rmtree(aside / "__MACOSX", ignore_errors=True)  # resource forks that no one means to train on
        if target.is_file():  # nothing of ours
            target.unlink()
        try:
            aside.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same contents
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _extract(path: Path, folder: Path) -> None:
    try:
        if path.name.lower().endswith(".zip"):
            _extract_zip(path, folder)
        else:
            with tarfile.open(path) as tar:
                tar.extractall(folder, members=whole_members(tar), filter="data")
    except tarfile.FilterError as error:
        raise ValueError(f"{str(path)!r} is refused, a member is not safe to unpack: {error}") from error
    except DAMAGED as error:
        raise ValueError(f"{str(path)!r} is damaged or not an archive, fetch it again: {error}") from error


def _extract_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename
            outside = name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]
            if outside or stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{str(path)!r} is refused, a member is not safe to unpack: {name!r}")
            if member.flag_bits & 1:
                raise ValueError(f"{str(path)!r} is encrypted: unpack it yourself and give the folder")
        archive.extractall(folder)
