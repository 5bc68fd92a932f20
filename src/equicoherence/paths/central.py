"""The central square of images: how they are seen where nothing augments them."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.paths.geometry import crop
from equicoherence.paths.state import State


def base_state(aspect: Tensor, share: float) -> State:
    """Return the central square crop of images: ``share`` of the shorter side.

    aspect: (B,), true width / height.
    """
    width, height = share / aspect.clamp_min(1), share * aspect.clamp_max(1)
    zero = torch.zeros_like(aspect)
    return State.identity(len(aspect), aspect.device).replace(
        geometry=crop(zero, zero, width, height, zero), affine=True
    )
