"""Files written aside and renamed: each is whole or not there, whatever stops the process. Folders for one process."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from equicoherence.errors import RefusedExisting

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_aside(path: Path, data: bytes | str) -> None:
    """Write a file so that it is whole or not there; text is UTF-8, its lines end as they are."""
    with replacing(path) as aside:
        aside.write_bytes(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; that file replaces ``path``, or goes where anything is raised.

    The name begins with a dot and ends in ``.tmp``. It is each writer's own: of processes that write the same file at
    once one wins, and nothing is mixed. Whoever writes it, its mode is that of a file made by ``open``: some libraries
    (safetensors) make files that only their owner can read.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield aside
        if not aside.stat().st_mode & OTHERS:
            aside.chmod(_mode_of_new(aside.with_suffix(".mode.tmp")))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _mode_of_new(path: Path) -> int:
    """Return the mode of a file that ``open`` makes.

    Told from such a file, which is removed again: the umask is read by setting it, for all threads of the process.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)
        path.unlink()


@contextlib.contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Hold a lock on a folder that the system gives back when the process ends, however it ends.

    doing: what a process that has it does, as in "renders into". Raises FileExistsError where another has it.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedExisting(f"another process {doing} {folder}: wait for it, or give another --out") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)
