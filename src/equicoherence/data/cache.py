"""Where unpacked archives and shard indices are kept."""

from __future__ import annotations

import os
from pathlib import Path


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
