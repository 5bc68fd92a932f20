"""Values that change over training, as pure functions of the 0-based step."""

from __future__ import annotations

import math


def warmup_linear(start: float, end: float, step: int, warmup_steps: int) -> float:
    """Return the value that goes linearly from ``start`` at step 0 to ``end`` at ``warmup_steps``, and stays there."""
    if step >= warmup_steps:
        return end
    return start + (end - start) * step / warmup_steps


def cosine(start: float, end: float, step: int, total: int) -> float:
    """Return the value that goes by half a cosine from ``start`` at step 0 to ``end`` at ``total``, and stays there."""
    if step >= total:
        return end
    return end + (start - end) * (1 + math.cos(math.pi * step / total)) / 2
