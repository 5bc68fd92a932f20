"""Runs that kept samples, of flat grey pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.reporting.runs import Run


def levels(*values: int, size: int = 8) -> np.ndarray:
    """Return one sample of flat grey pictures, (1, K, size, size, 3)."""
    return np.broadcast_to(np.array(values, np.uint8)[None, :, None, None, None], (1, len(values), size, size, 3))


def holding(name: str = "a", **samples: np.ndarray) -> Run:
    """Return a run that kept samples."""
    views = {view: levels(level)[:, 0] for view, level in (("v1", 90), ("base", 0), ("v2", 40))}
    return Run(Path(name), name, {}, samples=views | samples)
