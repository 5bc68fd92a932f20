"""Any torch module in memory as an encoder that can be scored."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.module_encoder import ModuleEncoder
from equicoherence.models import Encoder
from equicoherence.models.normalisation import RGB, check_normalisation


def as_frozen(
    model: nn.Module,
    *,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
) -> FrozenModel:
    """Return a copy of a module, in eval mode, as a model to evaluate; the module itself is not changed.

    model: an `Encoder`, which has its own normalisation, or a module as in `ModuleEncoder`.
    size: width and height of its input in pixels.
    mean, std: normalisation of images in [0, 1] for a module that is not an `Encoder`; None for none. With more than
        three channels, one number per channel.
    name: in the scores; by default its class.

    Raises ValueError without a size, for an impossible normalisation or one that an `Encoder` has itself, and for an
    output that is not a feature of images.
    """
    if size is None or size < 1:
        raise ValueError(f"size is {size}: say how many pixels on a side the module takes (size=224)")
    channels = max(RGB, len(mean or std or ()))
    check_normalisation(mean, std, channels)
    called, pixels = type(model).__name__, round(size / 0.875)
    try:
        if isinstance(model, Encoder):
            called = model.name
            if mean is not None or std is not None:
                raise ValueError(f"mean and std are given, but {called} normalises images by its own; leave them out")
            encoder = copy.deepcopy(model).eval()
            with torch.no_grad():
                encoder(torch.zeros(2, encoder.channels, size, size, device=encoder.mean.device))
            return FrozenModel(name or called, name or called, encoder, size, pixels, pool=encoder.pool)
        wrapped = ModuleEncoder(copy.deepcopy(model), size, mean or (0.0, 0.0, 0.0), std or (1.0, 1.0, 1.0))
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, RuntimeError, TypeError) as error:  # what modules raise for images that they do not fit
        raise ValueError(f"{called} does not take images (B, {channels}, {size}, {size}): {error}") from error
    return FrozenModel(
        *(name or called, name or called, wrapped, size, pixels),  # type: ignore[arg-type]
        fresh=lambda: fresh_weights(wrapped),
        has_random_control=has_fresh_weights(model),
    )


def has_fresh_weights(model: nn.Module) -> bool:
    """Return whether every layer of a module that holds weights can draw them anew."""
    return all(
        hasattr(layer, "reset_parameters") or not any(True for _ in layer.parameters(recurse=False))
        for layer in model.modules()
    )


def fresh_weights(encoder: ModuleEncoder) -> ModuleEncoder:
    """Return a copy with fresh random weights, drawn from torch's generator, a module's after those of its layers."""
    fresh = copy.deepcopy(encoder)
    for layer in reversed(list(fresh.model.modules())):
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # type: ignore[operator]
    return fresh
