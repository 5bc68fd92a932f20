"""Parts of a page that may fail, so that the others are still shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from equicoherence.errors import one_line

T = TypeVar("T")


def tried(make: Callable[[], T]) -> tuple[T | None, str]:
    """Return what is made, or None and why it cannot be, in one line.

    Weights or images are damaged, of another version or gone, or what reads them is not installed.
    """
    from safetensors import SafetensorError

    try:
        return make(), ""
    except (ValueError, OSError, RuntimeError, ImportError, SafetensorError) as error:
        return None, one_line(error)
