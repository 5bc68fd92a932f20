"""Each transformation agrees with torchvision in direction, sign, centre and size."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision.transforms.v2.functional as TF
from torch import Tensor
from torchvision.transforms import InterpolationMode

from equicoherence.paths import (
    SE2,
    Blur,
    ColorJitter,
    Grayscale,
    Pyramid,
    ResizedCrop,
    Rotation,
    Scale,
    Solarize,
    State,
    Transformation,
    Translation,
    render,
)

from .pictures import inner, shown, textured

BILINEAR = InterpolationMode.BILINEAR
PIXEL = 224 / 96  # one pixel of the 96-pixel images in units of theta


def affine(images: Tensor, angle: float = 0, x: float = 0, y: float = 0, scale: float = 1) -> Tensor:
    return TF.affine(images, angle, [x, y], scale, [0.0, 0.0], interpolation=BILINEAR)


def assert_same(ours: Tensor, theirs: Tensor, tolerance: float = 5e-5) -> None:
    assert float((ours - theirs).abs().max()) < tolerance


def test_a_positive_angle_turns_counter_clockwise(images: Tensor) -> None:
    theirs = TF.rotate(images, 20.0, interpolation=BILINEAR)  # counter-clockwise there, clockwise in TF.affine
    assert_same(inner(shown(images, Rotation(), [20.0])), inner(theirs))


def test_a_positive_shift_moves_right_and_down(images: Tensor) -> None:
    ours = shown(images, Translation(), [7.3 * PIXEL, -4.5 * PIXEL])
    theirs = torch.nn.functional.grid_sample(
        images,
        torch.nn.functional.affine_grid(
            torch.tensor([[1, 0, -7.3 / 48], [0, 1, 4.5 / 48]]).repeat(2, 1, 1), list(images.shape), align_corners=False
        ),
        align_corners=False,
    )
    assert_same(inner(ours), inner(theirs))
    assert_same(inner(shown(images, Translation(), [7 * PIXEL, -4 * PIXEL])), inner(affine(images, x=7, y=-4)))


def test_se2_turns_first_and_then_shifts(images: Tensor) -> None:
    ours = shown(images, SE2(), [25.0, 6 * PIXEL, -5 * PIXEL])
    assert_same(inner(ours, 30), inner(affine(images, angle=-25, x=6, y=-5), 30))


def test_scale_magnifies_about_the_centre(images: Tensor) -> None:
    assert_same(inner(shown(images, Scale(), [0.5])), inner(affine(images, scale=2**0.5)))


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("size", [96, 128])
def test_a_crop_enlarged_is_resized_crop(images: Tensor, size: int, flip: float) -> None:
    left, top, width, height = 36, 6, 48, 72
    theta = [
        (left + width / 2) / 48 - 1,
        (top + height / 2) / 48 - 1,
        math.log(width / 96),
        math.log(height / 96),
        flip,
    ]
    theirs = TF.resized_crop(images, top, left, height, width, [size, size], antialias=True)
    theirs = TF.horizontal_flip(theirs) if flip else theirs
    assert_same(inner(shown(images, ResizedCrop(), theta, size), 6), inner(theirs, 6), 2e-5)


@pytest.mark.parametrize(("size", "bound"), [(64, 0.015), (48, 0.01), (33, 0.03)])
def test_a_crop_reduced_is_resized_crop_with_antialias(images: Tensor, size: int, bound: float) -> None:
    theta = [0.0, -1 / 48, 0.0, math.log(90 / 96), 0.0]
    theirs = TF.resized_crop(images, 2, 0, 90, 96, [size, size], antialias=True)
    difference = inner(shown(images, ResizedCrop(), theta, size) - theirs, 3)
    assert float(difference.abs().mean()) < bound
    assert float(difference.mean().abs()) < 0.002  # no drift in brightness, nor in place:
    moved = inner(shown(images, ResizedCrop(), [2 / size, *theta[1:]], size) - theirs, 3)  # by one output pixel
    assert float(moved.abs().mean()) > 1.5 * float(difference.abs().mean())


@pytest.mark.parametrize(
    ("theta", "adjust", "factor"),
    [
        ([0.3, 0, 0, 0], TF.adjust_brightness, 1.3),
        ([-0.3, 0, 0, 0], TF.adjust_brightness, 0.7),
        ([0, 0.4, 0, 0], TF.adjust_contrast, 1.4),
        ([0, -0.4, 0, 0], TF.adjust_contrast, 0.6),
        ([0, 0, 0.4, 0], TF.adjust_saturation, 1.4),
        ([0, 0, -1.0, 0], TF.adjust_saturation, 0.0),
    ],
)
def test_color_jitter_is_torchvisions(images: Tensor, theta: list[float], adjust, factor: float) -> None:
    assert_same(shown(images, ColorJitter(saturation=(-1.0, 1.0)), theta), adjust(images, factor))


def test_color_jitter_takes_its_steps_in_order(images: Tensor) -> None:
    mild = 0.3 + 0.4 * images  # no step clamps, so that order is all that counts
    theirs = TF.adjust_saturation(TF.adjust_contrast(TF.adjust_brightness(mild, 1.2), 0.8), 1.3)
    assert_same(shown(mild, ColorJitter(), [0.2, -0.2, 0.3, 0.0]), theirs)


def test_grayscale_and_solarize(images: Tensor) -> None:
    assert_same(shown(images, Grayscale(), [1.0]), TF.rgb_to_grayscale(images, 3), 2e-5)
    assert_same(shown(images, Solarize(), [0.4]), TF.solarize(images, 0.6))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.0])
def test_blur_is_a_gaussian_of_sigma_pixels(images: Tensor, sigma: float) -> None:
    reach = 2 * math.ceil(3 * sigma) + 1
    assert_same(shown(images, Blur(), [sigma]), TF.gaussian_blur(images, [reach, reach], [sigma, sigma]))


def test_blur_reaches_no_further_than_reflection_can() -> None:
    tiny = textured(1, 96)[..., :4, :4]
    blurred = render(Pyramid.build(tiny, 4), Blur((0.0, 3.0)).state(torch.tensor([[3.0]])), size=4)
    assert bool(torch.isfinite(blurred).all())
    assert float(blurred.std()) < float(tiny.std())


@pytest.mark.parametrize(
    "transformation", [Rotation(), SE2(), Scale(), ColorJitter(), Blur(), Solarize(), ResizedCrop()]
)
def test_zero_changes_nothing(images: Tensor, transformation: Transformation) -> None:
    assert_same(shown(images, transformation, [0.0] * len(transformation.parameters)), images)


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0])
def test_shrinking_by_powers_of_two_is_torchvisions_resize(factor: float) -> None:
    images, size = textured(2, 256), round(256 / factor)
    ours = render(Pyramid.build(images, size), State.identity(2), size=size)
    assert_same(ours, TF.resize(images, [size, size], antialias=True))


@pytest.mark.parametrize(("factor", "share"), [(1.25, 1.1), (1.5, 1.2), (1.7, 0.7), (2.4, 0.5), (3.0, 0.5), (5.5, 0.2)])
def test_shrinking_is_antialiased_nearly_as_torchvisions_resize(factor: float, share: float) -> None:
    images, size = textured(2, 256), round(256 / factor)
    ours = render(Pyramid.build(images, size, smallest_view=0.25), State.identity(2), size=size)
    theirs = TF.resize(images, [size, size], antialias=True)
    aliased = TF.resize(images, [size, size], antialias=False)
    ours_off, aliased_off = (float((x - theirs).abs().mean()) for x in (ours, aliased))
    assert ours_off < 0.02
    assert ours_off < share * aliased_off
