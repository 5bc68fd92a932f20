"""How the kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import numba
except ImportError as error:
    raise ImportError(
        "objects are drawn by numba: pip install numba, or give images of your own with --data"
    ) from error


def compiled(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter lock; kept on disk where numba finds a folder that can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
