"""Where unpacked archives and indices are kept, and how processes wait for the one that makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on Windows: two processes then make the same thing, one after the other renames
    fcntl = None


def cache_folder() -> Path:
    """Return the cache folder, made on demand.

    It is ``EQUICOHERENCE_CACHE`` where that is set, else ``equicoherence`` below ``XDG_CACHE_HOME`` or ``~/.cache``.
    Everything in it can be made again and may be deleted at any time when nothing runs.

    Raises:
        OSError: the folder cannot be made.
    """
    chosen = os.environ.get("EQUICOHERENCE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(chosen) if chosen else (Path(base) if base else Path("~/.cache")) / "equicoherence"
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"cannot make the cache folder {str(folder)!r} ({error.strerror}): "
            "set the environment variable EQUICOHERENCE_CACHE to a folder that can be written"
        ) from error
    return folder


@contextmanager
def taking_turns(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file ``path``, which the system gives back when the process ends, however it ends.

    waiting: called once where another process holds it, before waiting for that.
    """
    with path.open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                pass  # a file system without locks: as without fcntl
        yield
