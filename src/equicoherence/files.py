"""Files: written to a temporary name and renamed, so that none is ever half there; their hash; locks on folders."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shlex
import socket
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from equicoherence.errors import RefusedExisting, RefusedValue

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None

OTHERS = stat.S_IRWXG | stat.S_IRWXO
ATTEMPTS = 100  # to make a lock file in a folder that another process removes
LOCK = ".lock"
"""Lock file of a folder; that of a killed process does not block others."""


class Damaged(ValueError):
    """A file cannot be read as what it should be. path: which. reason: why, in a few words."""

    def __init__(self, path: Path, reason: str, advice: str) -> None:
        super().__init__(f"{path} is damaged ({reason}): {advice}")
        self.path, self.reason = path, reason


def write_aside(path: Path, data: bytes | str) -> None:
    """Write a file so that it is whole or not there; text is UTF-8, its lines end as they are."""
    with replacing(path) as aside:
        aside.write_bytes(data.encode() if isinstance(data, str) else data)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal letters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    """Keep a folder for this process; the system gives it back when the process ends, however it ends.

    The folder is made where it is not there, and removed again where nothing was put into it.

    doing: what a process that has it does, as in "renders into". Raises FileExistsError, which says who has it, where
    another process does, or that a file is there; ValueError where the folder cannot be written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _locked(folder / LOCK, folder, doing):
            yield
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # it holds something, or is another's by now
                path.rmdir()


@contextlib.contextmanager
def alone_at(path: Path, doing: str) -> Iterator[None]:
    """Keep one name for this process, a file or a folder that is written whole, as `alone` keeps a folder.

    doing: what a process that has it does, as in "writes".
    """
    with _locked(path.with_name(f".{path.name}{LOCK}"), path, doing):
        yield


@contextlib.contextmanager
def _locked(lock: Path, what: Path, doing: str) -> Iterator[None]:
    handle = _open_lock(lock, what, doing)
    try:
        about = {"pid": os.getpid(), "host": socket.gethostname(), "doing": doing, "command": _command()}
        os.truncate(handle, 0)
        os.write(handle, json.dumps({**about, "started": time.strftime("%Y-%m-%d %H:%M:%S")}).encode())
        yield
    finally:
        if fcntl is None:  # Windows removes no file that is open, by us or by another
            os.close(handle)
            with contextlib.suppress(PermissionError):
                lock.unlink(missing_ok=True)
        else:
            lock.unlink(missing_ok=True)  # while it is ours: who waits for this file looks whether it is still there
            os.close(handle)


def _open_lock(lock: Path, what: Path, doing: str) -> int:
    """Return the handle of a lock file that is ours.

    Raises FileExistsError where it is another's, or a file is where a folder should be; ValueError where none can be
    written.
    """
    for attempt in itertools.count():
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(what, error) from error
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError as error:  # the process before removed the folder that it had made
            if attempt == ATTEMPTS:
                raise _unwritable(what, error) from error
            continue
        except OSError as error:
            raise _unwritable(what, error) from error
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        except BlockingIOError:
            said = _owner(handle, what, doing)
            os.close(handle)
            raise RefusedExisting(said) from None
        except FileNotFoundError:
            pass  # the process before gave it back in between
        except OSError:
            return handle  # a file system without locks
        os.close(handle)
    raise AssertionError("unreachable: the count has no end")


def _unwritable(what: Path, error: OSError) -> RefusedExisting | RefusedValue:
    """Return the error that says why nothing can be written to a folder, or to a name in one."""
    file = next((path for path in (what, *what.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        return RefusedExisting(f"{file} is a file; give another --out")
    return RefusedValue(f"{what} cannot be written ({error.strerror}); give another --out")


def _owner(handle: int, what: Path, doing: str) -> str:
    """Say that a lock is another's, and whose, as far as its file says it."""
    text = "another process {} {}: wait for it, or give another --out"
    try:
        about = json.loads(os.pread(handle, 2**16, 0))
        owner = f"it is process {about['pid']} on {about['host']}, since {about['started']}: {about['command']}"
        return f"{text.format(about['doing'], what)} ({owner})"
    except (ValueError, KeyError, TypeError):  # it has not written yet
        return text.format(doing, what)


def _command() -> str:
    """Return what was typed to start this process, as far as it tells."""
    program, *arguments = sys.argv or [""]
    name = "equicoherence" if Path(program).name in ("__main__.py", "equicoherence") else Path(program).name
    text = shlex.join([name or "python", *arguments])
    return text if len(text) <= 200 else f"{text[:200]} ..."
