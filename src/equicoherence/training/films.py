"""Film strips as plain pictures: what the task saw and what it decoded, for those who show pictures alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BLANK = 255  # white


def film_strips(samples: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return one picture (N, H, W, 3), uint8, of each of the N samples that `take_samples` returns.

    From left to right: view 1, the base image u, the states on the path in the order of their places, view 2. The first
    row holds them as they are, the second as they were decoded; there is one row where nothing was decoded.
    """
    order = np.argsort(samples["positions"], kind="stable")
    first = [samples["v1"], samples["base"]]
    rows = [[*first, *samples["targets"][:, order].swapaxes(0, 1), samples["v2"]]]
    if "decoded" in samples:
        blank = np.full_like(samples["v1"], BLANK)
        rows.append([blank, blank, *samples["decoded"][:, order].swapaxes(0, 1), blank])
    return np.concatenate([np.concatenate(row, axis=2) for row in rows], axis=1)
