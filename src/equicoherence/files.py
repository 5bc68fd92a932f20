"""Files written aside and renamed: each is whole or not there, whatever stops the process."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


def write_aside(path: Path, data: bytes | str) -> None:
    """Write a file so that it is whole or not there; text is UTF-8, its lines end as they are."""
    with replacing(path) as aside:
        aside.write_bytes(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; that file replaces ``path``, or goes where anything is raised.

    The name begins with a dot and ends in ``.tmp``. It is each writer's own: of processes that write the same file at
    once one wins, and nothing is mixed.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
