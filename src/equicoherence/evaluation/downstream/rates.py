"""How learning rates of downstream heads go."""

from __future__ import annotations

import numpy as np

WARM_UP = 0.05
"""Share of the steps in which rates rise."""


def cosine_after_rise(step: int, steps: int) -> float:
    """Return the factor of the learning rate: a linear rise, then half a cosine down to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * float(np.cos(np.pi * (step - rise) / max(1, steps - rise)))
