"""What lies beyond the base image: content, reflection, or black."""

from __future__ import annotations

import math

import pytest
import torch

from equicoherence.paths import Pyramid, ResizedCrop, Rotation, State, Translation, render

from .pictures import inner, smooth, textured

HALF = [[0.0, 0.0, math.log(0.5), math.log(0.5), 0.0]]  # the middle quarter of the source
RIGHT = torch.tensor([[32 * 224 / 64, 0.0]])  # by half a base image of 64 pixels


def base_and_path() -> tuple[State, State]:
    return ResizedCrop().state(torch.tensor(HALF)), Translation().state(RIGHT)


def test_content_shows_what_the_source_has_beyond_the_crop() -> None:
    images = smooth(1, 128)
    base, path = base_and_path()
    seen = render(Pyramid.build(images, 64), base, path, size=64)
    assert float((seen - images[..., 32:96, 0:64]).abs().max()) < 1e-5


def test_content_is_mirrored_beyond_the_source() -> None:
    images = smooth(1, 64)
    seen = render(Pyramid.build(images, 64), State.identity(1), Translation().state(RIGHT), size=64)
    assert float((seen[..., 32:] - images[..., :32]).abs().max()) < 1e-5
    assert float((seen[..., :32] - images[..., :32].flip(-1)).abs().max()) < 1e-5


def test_reflection_mirrors_the_base_image() -> None:
    images = smooth(1, 128)
    base, path = base_and_path()
    pyramid = Pyramid.build(images, 64)
    u = render(pyramid, base, size=64)
    seen = render(pyramid, base, path, size=64, border="reflection")
    assert float((seen[..., 32:] - u[..., :32]).abs().max()) < 1e-5
    assert float((seen[..., :32] - u[..., :32].flip(-1)).abs().max()) < 1e-5


def test_zeros_is_black_beyond_the_base_image_and_the_content_within() -> None:
    images = 0.2 + 0.8 * smooth(1, 128)
    base, path = base_and_path()
    pyramid = Pyramid.build(images, 64)
    seen = render(pyramid, base, path, size=64, border="zeros")
    assert float(seen[..., :32].abs().max()) == 0
    assert float((seen[..., 32:] - render(pyramid, base, size=64)[..., :32]).abs().max()) < 1e-5


def test_zeros_shows_the_angle_in_the_corners() -> None:
    images, turn = torch.ones(1, 3, 64, 64), Rotation().state(torch.tensor([[45.0]]))
    seen = render(Pyramid.build(images, 64), State.identity(1), turn, size=64, border="zeros")
    assert float(seen[..., :8, :8].max()) == 0
    assert float(inner(seen, 16).min()) > 0.999
    assert float(seen.mean()) == pytest.approx(2 * (math.sqrt(2) - 1), abs=0.01)  # the area of a regular octagon


def test_within_the_base_image_all_borders_agree() -> None:
    images, turn = textured(2, 96), Rotation().state(torch.tensor([[20.0], [-35.0]]))
    pyramid, base = Pyramid.build(images, 64), ResizedCrop().state(torch.tensor([[0.2, -0.1, -0.4, -0.5, 1.0]] * 2))
    content, reflection, zeros = (
        inner(render(pyramid, base, turn, size=64, border=border), 16) for border in ("content", "reflection", "zeros")
    )
    assert float((content - reflection).abs().max()) < 1e-4
    assert float((content - zeros).abs().max()) < 1e-4


def test_an_unknown_border_is_quoted() -> None:
    with pytest.raises(ValueError, match="border 'wrap' is unknown; choose one of content, reflection, zeros"):
        render(Pyramid.build(smooth(1, 8), 8), State.identity(1), size=8, border="wrap")  # type: ignore[arg-type]
