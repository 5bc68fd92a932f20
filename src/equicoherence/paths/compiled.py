"""The compiled kernel of the renderer, where it can be had."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def compiled_kernel() -> Any:
    """Return the module of the kernel that numba compiles; None if there is no numba, or none that it fits.

    The renderer then does with torch what the kernel would, which is slower on a CPU: a line says so, once.
    """
    try:
        from equicoherence.paths import kernel
    except Exception as error:  # no numba, or one without the switch that `kernel` sets: whatever it raises
        from equicoherence.notice import say  # what a path is needs nothing else of the package

        why = "numba is not installed" if isinstance(error, ModuleNotFoundError) else f"numba does not fit: {error}"
        say(f"{why}; on a CPU torch renders the views, more slowly (pip install numba)")
        return None
    return kernel
