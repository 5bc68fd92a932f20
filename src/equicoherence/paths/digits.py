"""All digits of numbers that say where pixels are, also in a training loop that computes in half precision."""

from __future__ import annotations

import torch
from torch import Tensor


def all_digits(numbers: Tensor) -> torch.autocast:
    """Return a context without autocast on the device of ``numbers``: in bfloat16, places would be off by pixels."""
    return torch.autocast(numbers.device.type, enabled=False)
