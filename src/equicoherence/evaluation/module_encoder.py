"""Any torch module behind the contract of `Encoder`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equicoherence.models import Features
from equicoherence.models.encoder import Pool


class ModuleEncoder(nn.Module):
    """A module behind the contract of `Encoder`.

    model: gives (B, C), one vector an image, (B, N, C), patch tokens row by row, or (B, C, h, w), for normalised images
        (B, C, H, W).
    size: pixels on a side of the images that it is known to take.
    mean, std: of the C channels, by which images in [0, 1] are normalised first.

    Raises ValueError for an output that is no feature of images.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.name = self.architecture = type(model).__name__
        self.args: dict[str, object] = {"img_size": size}
        self.layers, self.ends_at, self.mask_token, self.has_cls = (), None, None, False
        self.pool: Pool = "mean"
        device = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(list(values), device=device).view(1, -1, 1, 1), persistent=False)
        with torch.no_grad():
            output = self.eval().model(self._normalised(torch.zeros(2, self.channels, size, size, device=device)))
        self.width = features_of(output, self.name, (2, size, size)).patches.shape[2]
        self.gives_vectors = output.ndim == 2

    @property
    def channels(self) -> int:
        """Channels of the images that it takes."""
        return self.mean.shape[1]

    def forward(self, images: Tensor) -> Features:
        """Encode images (B, C, H, W) in [0, 1]."""
        batch, _, height, width = images.shape
        return features_of(self.model(self._normalised(images)), self.name, (batch, height, width))

    def _normalised(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def features_of(output: object, name: str, images: tuple[int, int, int]) -> Features:
    """Return what a module gave for images (B, H, W) as features; ValueError, with its shape, for what they are not.

    Tokens (B, N, C) are of a grid of the image's aspect, as square patches give it.
    """
    batch, height, width = images
    wanted = "give a tensor (B, C), (B, N, C) of all patches without class token, or (B, C, h, w)"
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4) or len(output) != batch:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{name} gives {shape} for {batch} images: {wanted}")
    if output.ndim == 2:
        return Features(None, output[:, None], (1, 1))
    if output.ndim == 4:
        return Features(None, output.flatten(2).transpose(1, 2), (output.shape[2], output.shape[3]))
    tokens = output.shape[1]
    grid = round(math.sqrt(tokens * height / width)), round(math.sqrt(tokens * width / height))
    if grid[0] * grid[1] != tokens:
        raise ValueError(
            f"{name} gives {tuple(output.shape)}, whose {tokens} tokens are no grid of square patches of an image of "
            f"{height} x {width}: {wanted}"
        )
    return Features(None, output, grid)
