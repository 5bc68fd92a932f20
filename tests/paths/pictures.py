"""Images for the tests of paths, and one transformation applied to them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths import Pyramid, State, Transformation, render


def smooth(batch: int, size: int, seed: int = 0) -> Tensor:
    coarse = torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)


def textured(batch: int, size: int, seed: int = 0) -> Tensor:
    """Return smooth shading with hard-edged boxes, stripes and a little noise, as in a photograph."""
    generator = torch.Generator().manual_seed(seed)
    image = smooth(batch, size, seed)
    for _ in range(6):
        (x, y), color = (
            torch.randint(0, size * 3 // 4, (2,), generator=generator).tolist(),
            torch.rand(3, generator=generator),
        )
        image[:, :, y : y + size // 4, x : x + size // 5] = color[:, None, None]
    stripes = 0.1 * torch.sin(torch.arange(size) * 1.1)
    noise = 0.02 * torch.randn(image.shape, generator=generator)
    return (image + stripes + noise).clamp(0, 1)


def shown(images: Tensor, transformation: Transformation, theta: list[float], size: int | None = None) -> Tensor:
    """Render ``images`` under one ``theta`` for all."""
    size = images.shape[-1] if size is None else size
    state = transformation.state(torch.tensor([theta] * len(images)))
    return render(Pyramid.build(images, size), State.identity(len(images)), state, size=size)


def inner(images: Tensor, border: int = 24) -> Tensor:
    return images[..., border:-border, border:-border]
