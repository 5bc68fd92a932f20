"""Which of the processes that train together this one is, by the variables that torchrun sets."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Return whether this is the first of the processes that train together, or the only one."""
    return os.environ.get("RANK", "0") == "0"
