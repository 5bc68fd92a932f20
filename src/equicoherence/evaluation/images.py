"""Given images as every task on them sees them: upright central crops; each image once."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.paths import State
from equicoherence.paths.geometry import crop

BATCH = 256


def base_state(aspect: Tensor, share: float) -> State:
    """Return the central square crop of images: ``share`` of the shorter side.

    aspect: (B,), true width / height.
    """
    width, height = share / aspect.clamp_min(1), share * aspect.clamp_max(1)
    zero = torch.zeros_like(aspect)
    return State.identity(len(aspect), aspect.device).replace(
        geometry=crop(zero, zero, width, height, zero), affine=True
    )


def first_of_each(index: Tensor) -> Tensor:
    """Return the places (M,) at which the values of ``index`` (N,) occur first, in order.

    Beside bad images, which the next good ones stand in for, an image may have been read more than once.
    """
    _, values = index.unique(return_inverse=True)
    places = torch.full((len(index),), len(index)).scatter_reduce_(0, values, torch.arange(len(index)), "amin")
    return places[places < len(index)].sort().values
