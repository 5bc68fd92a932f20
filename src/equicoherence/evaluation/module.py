"""Any torch module in memory as an encoder that can be scored."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equicoherence.evaluation.model import FrozenModel
from equicoherence.models import Encoder, Features
from equicoherence.models.encoder import Pool


class ModuleEncoder(nn.Module):
    """A module behind the contract of `Encoder`.

    model: gives (B, C), one vector an image, (B, N, C), patch tokens of a square grid row by row, or (B, C, h, w), for
        normalised images (B, 3, H, W).
    mean, std: of three channels, by which images in [0, 1] are normalised first.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.name = self.architecture = type(model).__name__
        self.args: dict[str, object] = {}
        self.layer, self.mask_token, self.has_cls = None, None, False
        self.pool: Pool = "mean"
        self.width = 0  # known once `as_frozen` has seen an image
        device = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(list(values), device=device).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Features:
        """Encode images (B, 3, H, W) in [0, 1]."""
        return features_of(self.model((images - self.mean) / self.std), self.name, len(images))


def as_frozen(
    model: nn.Module,
    *,
    size: int | None = None,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    name: str | None = None,
) -> FrozenModel:
    """Return a copy of a module, in eval mode, as a model to score; the module itself is left as it is.

    model: an `Encoder`, which knows its mean and deviation itself, or a module as `ModuleEncoder` takes it.
    size: pixels on a side of its input.
    mean, std: by which images in [0, 1] are normalised before it.
    name: what scores call it, its class where None.

    Raises ValueError without a size, and for an output that is no feature of images.
    """
    if size is None or size < 1:
        raise ValueError(f"size is {size}: say how many pixels on a side the module takes (size=224)")
    encoder = copy.deepcopy(model) if isinstance(model, Encoder) else ModuleEncoder(copy.deepcopy(model), mean, std)
    encoder = encoder.eval().requires_grad_(False)
    with torch.no_grad():
        features = encoder(torch.zeros(2, 3, size, size, device=encoder.mean.device))
    encoder.width = features.patches.shape[2]
    said = name or encoder.name
    fresh = None if isinstance(encoder, Encoder) else lambda: fresh_weights(encoder)
    return FrozenModel(said, said, encoder, size, round(size / 0.875), pool=encoder.pool, fresh=fresh)  # type: ignore[arg-type]


def features_of(output: object, name: str, batch: int) -> Features:
    """Return what a module gave as features; ValueError, with its shape, for what they are not."""
    wanted = "give a tensor (B, C), (B, N, C) of a square grid without class token, or (B, C, h, w)"
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4) or len(output) != batch:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{name} gives {shape} for {batch} images: {wanted}")
    if output.ndim == 2:
        return Features(None, output[:, None], (1, 1))
    if output.ndim == 4:
        return Features(None, output.flatten(2).transpose(1, 2), (output.shape[2], output.shape[3]))
    side = math.isqrt(output.shape[1])
    if side * side != output.shape[1]:
        raise ValueError(f"{name} gives {tuple(output.shape)}, whose {output.shape[1]} tokens are no square: {wanted}")
    return Features(None, output, (side, side))


def fresh_weights(encoder: ModuleEncoder) -> ModuleEncoder | None:
    """Return a copy with fresh random weights, drawn from torch's generator; None where a layer cannot draw its own."""
    fresh = copy.deepcopy(encoder)
    for module in fresh.model.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()
        elif any(True for _ in module.parameters(recurse=False)):
            return None
    return fresh
