"""How much memory programs may still take."""

from __future__ import annotations

import sys
from pathlib import Path


def free_memory() -> int:
    """Return the bytes that programs may still take, more than enough where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return sys.maxsize
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), sys.maxsize)
