"""How learning rates of downstream heads go."""

from __future__ import annotations

import math


def cosine_after_rise(step: int, steps: int, share: float = 0.05) -> float:
    """Return the factor of the learning rate: a linear rise in a ``share`` of the steps, then half a cosine to 0."""
    rise = max(1, round(share * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
