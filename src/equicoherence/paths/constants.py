"""Small constant tensors, sent to a device once."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

Numbers = tuple[float, ...] | tuple["Numbers", ...]


@lru_cache(maxsize=256)
def constant(values: Numbers, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return nested tuples of numbers as a tensor on ``device``, the same one each time: it must not be written to.

    A GPU waits for every copy from the host's memory, so a step must make none. Indexing by a list is such a copy too:
    use ``index_select`` with a constant of dtype long.
    """
    with torch.inference_mode(False):  # a tensor made in inference mode could take no part in training later
        return torch.tensor(values, dtype=dtype, device=device)
