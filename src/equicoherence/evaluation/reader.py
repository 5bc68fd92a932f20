"""Features of many images, computed faster with the same result."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.folded import folded
from equicoherence.evaluation.frozen_model import FrozenModel

BATCH = 256  # given images that tasks read at a time
TOGETHER = 32  # images that a CPU encodes at a time: what layers say of 256 leaves its cache, which costs a fifth


def reader(model: FrozenModel) -> FrozenModel:
    """Return what reads images as the model does, but for the last bits: on a CPU without batch norms of their own."""
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
