"""Each transformation agrees with kornia in direction, sign, centre and size."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from equicoherence.paths import SE2, Blur, ColorJitter, ResizedCrop, Rotation, Scale, Solarize, Translation

from .pictures import inner, shown

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # kornia's own, at import
    import kornia

PIXEL = 224 / 96


def warped(images: Tensor, angle: float = 0.0, scale: float = 1.0, x: float = 0.0, y: float = 0.0) -> Tensor:
    batch = len(images)
    centre = torch.full((batch, 2), (images.shape[-1] - 1) / 2)
    matrix = kornia.geometry.get_rotation_matrix2d(centre, torch.full((batch,), angle), torch.full((batch, 2), scale))
    matrix[:, :, 2] += torch.tensor([x, y])
    return kornia.geometry.warp_affine(images, matrix, (images.shape[2], images.shape[3]), align_corners=True)


def assert_same(ours: Tensor, theirs: Tensor, tolerance: float = 2e-5) -> None:
    assert float((ours - theirs).abs().max()) < tolerance


def test_rotation_translation_scale_and_se2(images: Tensor) -> None:
    assert_same(inner(shown(images, Rotation(), [20.0])), inner(warped(images, angle=20.0)))
    assert_same(inner(shown(images, Translation(), [5 * PIXEL, -3 * PIXEL])), inner(warped(images, x=5.0, y=-3.0)))
    assert_same(inner(shown(images, Scale(), [0.5])), inner(warped(images, scale=2**0.5)))
    ours = shown(images, SE2(), [25.0, 6 * PIXEL, -5 * PIXEL])
    assert_same(inner(ours, 30), inner(warped(images, angle=25.0, x=6.0, y=-5.0), 30))


def test_flip(images: Tensor) -> None:
    assert_same(shown(images, ResizedCrop(), [0, 0, 0, 0, 1.0]), kornia.geometry.hflip(images))


def test_brightness_contrast_saturation_blur_and_solarize(images: Tensor) -> None:
    assert_same(
        shown(images, ColorJitter(), [0.3, 0, 0, 0]), kornia.enhance.adjust_brightness_accumulative(images, 1.3)
    )
    theirs = kornia.enhance.adjust_contrast_with_mean_subtraction(images, 1.3)
    assert_same(shown(images, ColorJitter(), [0, 0.3, 0, 0]), theirs, 1e-3)  # its luma has other digits
    theirs = kornia.enhance.adjust_saturation_with_gray_subtraction(images, 1.3)
    assert_same(shown(images, ColorJitter(), [0, 0, 0.3, 0]), theirs, 1e-3)
    theirs = kornia.filters.gaussian_blur2d(images, (11, 11), (1.5, 1.5))
    assert_same(shown(images, Blur(), [1.5]), theirs)
    assert_same(shown(images, Solarize(), [0.4]), kornia.enhance.solarize(images, 0.6))
