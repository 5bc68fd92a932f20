"""By what images are normalised before an encoder sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence

RGB = 3
Channels = tuple[float, ...]  # a number for each channel: red, green and blue, where there are three


def check_normalisation(mean: Sequence[float] | None, std: Sequence[float] | None, channels: int = RGB) -> None:
    """Raise ValueError for a mean or std that is not finite in each channel, and for a std that is not positive."""
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and not (len(values) == channels and all(map(math.isfinite, values))):
            raise ValueError(f"{name} must hold a number for each of the {channels} channels, got {values}")
    if std is not None and min(std) <= 0:
        raise ValueError(f"std must be above 0 in all channels, got {std}")


def for_channels(values: Sequence[float], channels: int) -> list[float]:
    """Return numbers of red, green and blue for more or fewer channels.

    Channels behind the third get the mean of the three, as do all if there are fewer than three.
    """
    mean = sum(values) / len(values)
    return [*values, *[mean] * (channels - len(values))] if channels >= len(values) else [mean] * channels
