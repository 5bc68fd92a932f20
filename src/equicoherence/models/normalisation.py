"""By what images are normalised before an encoder sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence

Channels = tuple[float, float, float]  # a number for red, green and blue


def check_normalisation(mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    """Raise ValueError for a mean or std that is not of three finite channels, and for a std that is not positive."""
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and not (len(values) == 3 and all(map(math.isfinite, values))):
            raise ValueError(f"{name} must hold a number for each of the 3 channels, got {values}")
    if std is not None and min(std) <= 0:
        raise ValueError(f"std must be above 0 in all channels, got {std}")
