"""The form an accelerator renders from gives the pixels that a CPU gives; here it runs on the CPU."""

from __future__ import annotations

import pytest
import torch

from equicoherence.paths import SE2, Blur, ColorJitter, Compose, Pyramid, Scale, State, augmentation, render
from equicoherence.paths.sampling import BORDERS, Border

from .pictures import smooth, textured


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("source", "size"), [(96, 64), (128, 24), (64, 96)])
def test_the_atlas_gives_the_same_pixels(source: int, size: int, border: Border) -> None:
    tolerance = 1e-3 if source < size else 3 / 255  # shrunk copies of bytes are bytes
    images, generator = (smooth(12, source) * 255).byte(), torch.Generator().manual_seed(0)
    first, path = augmentation(), Compose(SE2((-170, 170), (-60, 60), (-60, 60)), Scale((-1, 1)), ColorJitter(), Blur())
    base, state = first.state(first.sample(12, generator)), path.state(path.sample(12, generator))
    pyramid = Pyramid.build(images, size)
    plain = render(pyramid, base, state, size=size, border=border)
    difference = (plain - render(pyramid.with_atlas(), base, state, size=size, border=border)).abs()
    if border == "zeros":  # pixel centres on the very edge may fall to either side
        assert float((difference > tolerance).float().mean()) < 1e-3
    else:
        assert float(difference.max()) < tolerance


def test_a_level_never_bleeds_into_its_neighbour() -> None:
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    images[..., 0] = 255  # the left edge of each level, beside the right edge of the one before
    generator = torch.Generator().manual_seed(0)
    turn = SE2((-180, 180), (-100, 100), (-100, 100))
    theta = turn.sample(1, generator)
    pyramid = Pyramid.build(images, 16)
    assert len(pyramid.sizes) > 3
    plain, atlas = (
        render(p, turn.state(0 * theta), turn.state(theta), size=16) for p in (pyramid, pyramid.with_atlas())
    )
    assert float((plain - atlas).abs().max()) < 3 / 255  # shrunk copies of bytes are bytes


@pytest.mark.parametrize("size", [2, 5, 33])
def test_both_ways_to_blur_agree(size: int) -> None:
    images = (textured(40, size) * 255).byte()
    still = State.identity(40)
    blur = still.replace(sigma=torch.linspace(0, 4, 40), sigma_bound=4.0)
    plain, atlas = (render(p, still, blur, size=size) for p in _both(Pyramid.build(images, size)))
    assert float((plain - atlas).abs().max()) < 1e-4


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_the_smallest_sources_are_read_within_their_edges(shape: tuple[int, int]) -> None:
    images = (torch.rand(4, 3, *shape, generator=torch.Generator().manual_seed(0)) * 255).byte()
    turn = SE2((-180, 180), (-100, 100), (-100, 100))
    theta = turn.sample(4, torch.Generator().manual_seed(1))
    plain, atlas = (render(p, State.identity(4), turn.state(theta), size=9) for p in _both(Pyramid.build(images, 9)))
    assert float((plain - atlas).abs().max()) < 1e-3


def test_numbers_that_are_not_finite_are_refused() -> None:
    images, still = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), State.identity(2)
    with pytest.raises(ValueError, match="not finite"):
        render(Pyramid.build(images, 8), still.replace(geometry=still.geometry * float("nan")), size=8)


def _both(pyramid: Pyramid) -> tuple[Pyramid, Pyramid]:
    return pyramid, pyramid.with_atlas()
