"""The work of `benchmarks/paths.py` done with torchvision and with kornia, each in the fastest way it documents.

Every peer makes, of a batch of uint8 images, four float images per source with separate parameters for each source:
``v1 = A(I)``, ``u = A(I)``, ``v2 = g(u)`` and two states ``g_1(u)``, ``g_2(u)``, where A is crop, flip, color jitter,
grayscale and blur, and g is a rotation and a translation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision.transforms.v2 as T
import torchvision.transforms.v2.functional as TF
from torch import Tensor

from equicoherence.paths import PathViews, augmentation, named_path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kornia
    import kornia.augmentation as K

Worker = Callable[[Tensor], list[Tensor]]
POSITIONS = (1.0, 1 / 3, 2 / 3)
TAPS = 13  # six pixels to each side: three standard deviations of the largest blur, where ours is cut off as well


def photograph_like(batch: int, size: int) -> Tensor:
    """Return bytes (B, 3, S, S) that are as smooth as most of a photograph."""
    coarse = torch.rand(batch, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return (F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1) * 255).byte()


def ours(size: int, path: str = "se2") -> Worker:
    """Return this package's way: `PathViews`, with the further transformation named ``path``."""
    generator = torch.Generator().manual_seed(0)
    views = PathViews(augmentation(), augmentation(), named_path(path), size=size)

    def work(images: Tensor) -> list[Tensor]:
        made = views(images, generator)
        return [made.v1, made.v2, *made.targets.unbind(dim=1)]

    return work


def with_torchvision(size: int) -> Worker:
    """Return the way with transforms.v2: image by image, uint8 until the end, as its documentation advises."""
    augment = T.Compose(
        [
            T.RandomResizedCrop(size, scale=(0.2, 1.0), antialias=True),
            T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
            T.RandomGrayscale(0.2),
            T.RandomApply([T.GaussianBlur(TAPS, (0.1, 2.0))], 0.5),
        ]
    )
    to_float = T.ToDtype(torch.float32, scale=True)
    bounds = torch.tensor([45.0, 10 * size / 224, 10 * size / 224])

    def one(image: Tensor) -> list[Tensor]:
        v1, u = augment(image), augment(image)
        angle, x, y = (bounds * (2 * torch.rand(3) - 1)).tolist()
        states = [
            TF.affine(u, -angle * t, [x * t, y * t], 1.0, [0.0, 0.0], interpolation=T.InterpolationMode.BILINEAR)
            for t in POSITIONS
        ]
        return [to_float(image) for image in (v1, *states)]

    def work(images: Tensor) -> list[Tensor]:
        return [torch.stack(outputs) for outputs in zip(*(one(image) for image in images))]

    return work


def with_kornia(size: int) -> Worker:
    """Return the way with kornia: whole batches, a parameter per image; its crop does not antialias."""
    augment = torch.nn.Sequential(
        K.RandomResizedCrop((size, size), scale=(0.2, 1.0), cropping_mode="resample"),
        K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.RandomGaussianBlur((TAPS, TAPS), (0.1, 2.0), p=0.5),
    )
    bounds = torch.tensor([45.0, 10 * size / 224, 10 * size / 224])

    def work(images: Tensor) -> list[Tensor]:
        pixels = images.float() / 255
        v1, u = augment(pixels), augment(pixels)
        batch = len(images)
        theta = bounds * (2 * torch.rand(batch, 3) - 1)
        centre = torch.full((batch, 2), (size - 1) / 2)
        outputs = [v1]
        for t in POSITIONS:
            matrix = kornia.geometry.get_rotation_matrix2d(centre, theta[:, 0] * t, torch.ones(batch, 2))
            matrix[:, :, 2] += theta[:, 1:] * t
            warped = kornia.geometry.warp_affine(u, matrix, (size, size), padding_mode="border", align_corners=True)
            outputs.append(warped)
        return outputs

    return work
