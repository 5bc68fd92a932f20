"""An encoder whose batch norms are part of the convolutions before them: the same features, faster."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.models import Encoder

LARGEST = 1e-4  # difference of a folded encoder's features, in the largest of them, at which it is none
CHECKED = 2  # images that both are compared on


@torch.no_grad()
def folded(model: FrozenModel) -> FrozenModel:
    """Return a model that gives the same features with fewer passes: a frozen batch norm is a factor and a shift of
    each channel, which the weights of the convolution before it take in. The model itself is left as it is.

    What follows what is seen as images pass through. The model itself is returned where there is nothing to fold, where
    its encoder is not one of timm's, and where features would be others.
    """
    encoder = model.encoder
    if not isinstance(encoder, Encoder) or not any(isinstance(part, nn.BatchNorm2d) for part in encoder.modules()):
        return model
    made = copy.deepcopy(encoder)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(CHECKED, encoder.channels, model.size, model.size, generator=generator)
    pairs = _pairs(made.model, lambda: made(images))
    for conv, norm in pairs:
        _fold(made.model, conv, norm)
    made.model.to(memory_format=torch.channels_last)  # as the encoder itself is
    for own, other in zip(_features(encoder, images), _features(made, images)):
        if not (own - other).abs().max() <= LARGEST * own.abs().max():
            return model
    return dataclasses.replace(model, encoder=made) if pairs else model


def _pairs(model: nn.Module, run: Callable[[], Any]) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return convolutions with the frozen batch norms that read their outputs, each of which is called once."""
    made: list[tuple[nn.Conv2d, Tensor]] = []
    read: list[tuple[nn.BatchNorm2d, Tensor]] = []
    hooks = []
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            hooks.append(part.register_forward_hook(lambda _, given, output, conv=part: made.append((conv, output))))  # type: ignore[arg-type]
        elif type(part) in (nn.BatchNorm2d, BatchNormAct2d) and part.running_var is not None and not part.training:
            hooks.append(part.register_forward_hook(lambda _, given, output, norm=part: read.append((norm, given[0]))))
    run()
    for hook in hooks:
        hook.remove()
    calls = [part for part, _ in (*made, *read)]
    return [
        (conv, norm)
        for norm, given in read
        for conv, output in made
        if output is given and calls.count(conv) == calls.count(norm) == 1
    ]


def _fold(model: nn.Module, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    conv.weight, conv.bias = fuse_conv_bn_weights(
        *(conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)  # type: ignore[arg-type]
    )
    after = norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity()
    for name, part in model.named_modules():
        if part is norm:
            model.set_submodule(name, after)  # type: ignore[arg-type]


def _features(encoder: Encoder, images: Tensor) -> list[Tensor]:
    """Return all that is read of an encoder: its output, and its layers where timm gives them."""
    found = [encoder(images)]
    with contextlib.suppress(ValueError):  # timm does not tell them of every model
        found += encoder.every_layer(images)[1]
    parts = [(each.patches, each.cls, each.head, *each.tapped) for each in found]
    return [part for of_one in parts for part in of_one if part is not None]
