"""The form an accelerator renders from gives the pixels that a CPU gives; here it runs on the CPU."""

from __future__ import annotations

import pytest
import torch

from equicoherence.paths import SE2, Blur, ColorJitter, Compose, Pyramid, Scale, augmentation, render
from equicoherence.paths.blur import blur_some, gaussian_blur, visible
from equicoherence.paths.sampling import BORDERS, Border

from .pictures import smooth, textured


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("source", "size"), [(96, 64), (128, 24), (64, 96)])
def test_the_atlas_gives_the_same_pixels(source: int, size: int, border: Border) -> None:
    images, generator = (smooth(12, source) * 255).byte(), torch.Generator().manual_seed(0)
    first, path = augmentation(), Compose(SE2((-170, 170), (-60, 60), (-60, 60)), Scale((-1, 1)), ColorJitter(), Blur())
    base, state = first.state(first.sample(12, generator)), path.state(path.sample(12, generator))
    pyramid = Pyramid.build(images, size)
    plain = render(pyramid, base, state, size=size, border=border)
    difference = (plain - render(pyramid.with_atlas(), base, state, size=size, border=border)).abs()
    if border == "zeros":  # pixel centres on the very edge may fall to either side
        assert float((difference > 1e-3).float().mean()) < 1e-3
    else:
        assert float(difference.max()) < 1e-3


def test_a_level_never_bleeds_into_its_neighbour() -> None:
    images = torch.zeros(1, 3, 64, 64)
    images[..., 0] = 1.0  # the left edge of each level, beside the right edge of the one before
    generator = torch.Generator().manual_seed(0)
    turn = SE2((-180, 180), (-100, 100), (-100, 100))
    theta = turn.sample(1, generator)
    pyramid = Pyramid.build(images, 16)
    assert len(pyramid.sizes) > 3
    plain, atlas = (
        render(p, turn.state(0 * theta), turn.state(theta), size=16) for p in (pyramid, pyramid.with_atlas())
    )
    assert float((plain - atlas).abs().max()) < 1e-4


def test_both_ways_to_blur_agree() -> None:
    images, sigma = (
        textured(40, 32),
        torch.linspace(0, 2, 40)[torch.randperm(40, generator=torch.Generator().manual_seed(0))],
    )
    at_once, chosen = gaussian_blur(images, sigma, 2.0), visible(sigma)
    some = torch.empty(len(chosen), 3, 32, 32)
    blur_some(images, chosen, sigma[chosen], some)
    assert len(chosen) == 39
    assert float((some - at_once[chosen]).abs().max()) < 1e-5
