"""Images of a batch that are transformed alike, and views that are one crop in two symmetries of the square."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from equicoherence.paths import SE2, PathViews, augmentation
from equicoherence.paths.between import Between
from equicoherence.paths.symmetries import undo_symmetries

from .pictures import textured

GRAY = augmentation(jitter_probability=0.0, grayscale=0.0, blur=0.0)  # crops and flips alone


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("path", [None, SE2(), Between()])
@pytest.mark.parametrize("flip", ["shared", "none"])
def test_of_two_neighbours_that_are_the_same_image_all_views_are_the_same(path, flip):
    images = textured(3, 48).repeat_interleave(2, dim=0)
    make = PathViews(augmentation(), augmentation(), path, size=32, flip=flip, paired=True)
    views = make(images, seeded())
    for seen in (views.v1, views.v2, views.theta, views.targets):
        assert torch.equal(seen[::2], seen[1::2])
    assert (views.v1[0] - views.v1[2]).abs().max() > 0.1
    apart = PathViews(augmentation(), augmentation(), path, size=32, flip=flip)(images, seeded())
    assert torch.equal(apart.v1[::2], views.v1[::2])
    assert (apart.v1[::2] - apart.v1[1::2]).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_neighbours_share_what_is_done_and_keep_their_own_pixels():
    images = textured(6, 48)
    views = PathViews(augmentation(), augmentation(), SE2(), size=32, paired=True)(images, seeded())
    swapped = images.unflatten(0, (3, 2)).flip(1).flatten(0, 1)
    other = PathViews(augmentation(), augmentation(), SE2(), size=32, paired=True)(swapped, seeded())
    for name in ("v1", "v2", "targets"):
        seen, found = getattr(views, name), getattr(other, name)
        assert torch.allclose(found.unflatten(0, (3, 2)).flip(1).flatten(0, 1), seen, atol=1e-6)
    assert (views.v1[0] - views.v1[1]).abs().max() > 0.1


def test_the_last_of_an_odd_number_is_transformed_by_itself():
    images = textured(1, 48).expand(3, -1, -1, -1)
    views = PathViews(GRAY, GRAY, size=32, paired=True)(images, seeded())
    assert torch.equal(views.v1[0], views.v1[1])
    assert (views.v1[2] - views.v1[0]).abs().max() > 0.01


@pytest.mark.parametrize("flip", ["shared", "independent"])
def test_symmetric_views_are_one_crop_turned_by_what_they_say(flip):
    images = textured(12, 48)
    views = PathViews(GRAY, GRAY, SE2(), size=32, flip=flip, symmetric=0.5)(images, seeded())
    assert views.symmetries is not None
    assert views.symmetries.shape == (2, 6)
    upright = [
        undo_symmetries(view[:6].flatten(2).transpose(1, 2), numbers)
        for view, numbers in zip((views.v1, views.v2), views.symmetries)
    ]
    assert (upright[0] - upright[1]).abs().max() < 1e-6
    assert len(views.symmetries.unique()) > 4
    assert not views.theta[:6].any()
    assert (views.v1[6:] - views.v2[6:]).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_symmetric_views_have_colors_of_their_own():
    images = textured(8, 48)
    views = PathViews(augmentation(), augmentation(), size=32, symmetric=1.0)(images, seeded())
    upright = [
        undo_symmetries(view.flatten(2).transpose(1, 2), numbers)
        for view, numbers in zip((views.v1, views.v2), views.symmetries)  # type: ignore[arg-type]
    ]
    assert (upright[0] - upright[1]).abs().amax(dim=(1, 2)).median() > 0.05


def test_the_other_images_are_seen_as_without_symmetries():
    images, make = textured(10, 48), PathViews(augmentation(), augmentation(), SE2(), size=32)
    plain = make(images, seeded())
    make.symmetric = 0.01
    views = make(images, seeded())
    assert views.symmetries is not None
    assert views.symmetries.shape == (2, 2)  # two at least
    for name in ("v1", "v2", "targets", "theta"):
        assert torch.equal(getattr(views, name)[2:], getattr(plain, name)[2:]), name
    assert plain.symmetries is None


def test_they_are_those_of_the_views_of_the_invariant_loss():
    images = textured(4, 48)
    views = PathViews(GRAY, GRAY, SE2(), size=32, base=True, symmetric=1.0)(images, seeded())
    assert views.symmetries is not None
    assert views.base is not None
    second = undo_symmetries(views.base.flatten(2).transpose(1, 2), views.symmetries[1])
    assert torch.allclose(second, views.v2.flatten(2).transpose(1, 2), atol=1e-5)
    first = undo_symmetries(views.v1.flatten(2).transpose(1, 2), views.symmetries[0])
    assert torch.allclose(second, first, atol=1e-5)
    assert torch.equal(dataclasses.replace(views).symmetries, views.symmetries)  # type: ignore[arg-type]


def test_a_share_out_of_its_range_is_quoted():
    with pytest.raises(ValueError, match=r"symmetric must lie in \[0, 1\], got 2"):
        PathViews(GRAY, GRAY, size=32, symmetric=2)
