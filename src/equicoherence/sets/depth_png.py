"""Depth maps as data sets store them: PNG files of 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.files import read_png


def read_depth(path: Path, steps: float) -> np.ndarray:
    """Return depths (H, W) float32 in metres of a PNG that counts ``steps`` to a metre; 0 and 65535 become 0: no depth.

    Raises `BadImage` where it cannot be read or has other than one channel of 16 bits.
    """
    stored = read_png(path)
    if stored.ndim != 2 or stored.dtype not in (np.uint16, np.int32):
        found = f"{1 if stored.ndim == 2 else stored.shape[2]} channels of {8 * stored.dtype.itemsize} bits"
        raise BadImage(printable(str(path)), f"{found}, but depth is one channel of 16 bits")
    return np.where(stored < 65535, stored, 0).astype(np.float32) / np.float32(steps)
