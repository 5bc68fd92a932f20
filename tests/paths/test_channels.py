"""Images of other than three channels, and of 16 bits, are rendered as pictures are; colors are of the first three."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from equicoherence.paths import (
    SE2,
    Between,
    Blur,
    ColorJitter,
    Compose,
    PathViews,
    Pyramid,
    State,
    augmentation,
    render,
)
from equicoherence.paths.round_band import render_round
from equicoherence.paths.transformations.appearance import Solarize

from .pictures import smooth, textured

SIZE = 48


def five(size: int = 96) -> Tensor:
    return torch.cat([textured(6, size), smooth(6, size, seed=1)[:, :2]], dim=1)


def states() -> tuple[State, State]:
    generator = torch.Generator().manual_seed(0)
    first, path = augmentation(), Compose(SE2(), ColorJitter(), Blur(), Solarize(probability=0.5))
    return first.state(first.sample(6, generator)), path.state(path.sample(6, generator))


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
def test_the_first_three_of_five_are_a_picture_and_the_others_keep_their_values(kind: torch.dtype) -> None:
    images, (base, path) = five(), states()
    images = images if kind == torch.float32 else (images * 255).round().byte()
    made = render(Pyramid.build(images, SIZE), base, path, size=SIZE)
    picture = render(Pyramid.build(images[:, :3].contiguous(), SIZE), base, path, size=SIZE)
    plain = State.identity(6)
    still = [state.replace(color=plain.color, threshold=None, affine=state.affine) for state in (base, path)]
    others = render(Pyramid.build(images[:, 2:].contiguous(), SIZE), *still, size=SIZE)
    tolerance = 1e-5 if kind == torch.float32 else 2e-3  # the compiled kernel draws pictures of bytes
    assert made.shape == (6, 5, SIZE, SIZE)
    flipped = (made[:, :3] - picture).abs() > tolerance  # at a solarize threshold, the last bit decides
    assert float(flipped.float().mean()) < 1e-3
    assert float((made[:, 3:] - others[:, 1:]).abs().max()) < 1e-5


def test_two_channels_keep_their_colors() -> None:
    images, (base, path) = five()[:, :2], states()
    plain = State.identity(6)
    still = [state.replace(color=plain.color, threshold=None, affine=state.affine) for state in (base, path)]
    made = render(Pyramid.build(images, SIZE), base, path, size=SIZE)
    padded = torch.cat([images, images[:, :1]], dim=1)
    expected = render(Pyramid.build(padded, SIZE), *still, size=SIZE)
    assert float((made - expected[:, :2]).abs().max()) < 1e-5


def test_16_bits_are_rendered_as_floats_are() -> None:
    deep = (five() * 65535).round().to(torch.uint16)
    base, path = states()
    made = render(Pyramid.build(deep, SIZE), base, path, size=SIZE)
    assert torch.equal(made, render(Pyramid.build(deep.float() / 65535, SIZE), base, path, size=SIZE))


def test_views_and_targets_have_as_many_channels_as_the_images() -> None:
    for path, count in ((SE2(), 2), (Between(), 2), (None, 0)):
        views = PathViews(augmentation(), augmentation(), path, size=SIZE, crops=2, crop_size=24, crop=augmentation())
        made = views((five() * 255).byte(), torch.Generator().manual_seed(0))
        assert made.v1.shape == made.v2.shape == (6, 5, SIZE, SIZE)
        assert made.targets.shape == (6, count, 5, SIZE, SIZE)
        assert made.crops is not None
        assert made.crops.shape == (2, 6, 5, 24, 24)


def test_between_views_of_two_channels_have_no_colors_to_change() -> None:
    views = PathViews(augmentation(), augmentation(), Between(), size=SIZE)
    images = (five()[:, :2] * 255).byte()
    made, three = (views(each, torch.Generator().manual_seed(0)) for each in (images, (five()[:, :3] * 255).byte()))
    assert made.v1.shape == (6, 2, SIZE, SIZE)
    assert torch.equal(made.theta[:, :6], three.theta[:, :6])  # the place


@pytest.mark.parametrize("white", [255, 65535])
def test_pairs_without_traces_keep_the_channels_and_the_bits(white: int) -> None:
    kind = torch.uint8 if white == 255 else torch.uint16
    images, still = (five() * white).round().to(kind), State.identity(6)
    turn = SE2()
    state = turn.state(turn.sample(6, torch.Generator().manual_seed(0)))
    band = torch.full((6,), 0.3)
    made = render_round(images, still, state, band, size=SIZE)
    steps = made * white
    assert torch.allclose(steps, steps.round(), atol=1e-2)
    picture = render_round(images[:, :3].contiguous(), still, state, band, size=SIZE)
    assert float((made[:, :3] - picture).abs().max()) <= 1.01 / white + 1e-6
    if white > 255:
        assert not torch.allclose(made * 255, (made * 255).round(), atol=1e-2)
