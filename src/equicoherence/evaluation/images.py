"""Given images as every task on them sees them: upright central crops; each image once."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.folded import folded
from equicoherence.evaluation.model import FrozenModel
from equicoherence.paths import State
from equicoherence.paths.geometry import crop

BATCH = 256
TOGETHER = (
    32  # images that a CPU encodes at a time: what layers say of more leaves its cache, which took 1.2 times as long
)


def reader(model: FrozenModel) -> FrozenModel:
    """Return what reads many images as the model does, to the last bits: on a CPU without batch norms of their own."""
    if model.encoder.mean.device.type != "cpu":
        return model
    return model.remember(("reader",), lambda: folded(model))


@torch.no_grad()
def represent(model: FrozenModel, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what `FrozenModel.represent` does, of many images, in the precision that encoders are read in; the pooled
    ones in float32."""
    parts = images.split(TOGETHER) if images.device.type == "cpu" else [images]
    with reading(images.device):
        found = [model.represent(part) for part in parts]
    pooled, tokens = (
        {name: torch.cat([each[kind][name] for each in found]) for name in found[0][kind]} for kind in (0, 1)
    )
    return {name: part.float() for name, part in pooled.items()}, tokens


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
