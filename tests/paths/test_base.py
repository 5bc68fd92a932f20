"""The base image as a view of its own, and paths of a share of the batch."""

from __future__ import annotations

import pytest
import torch

from equicoherence.paths import SE2, PathViews, Views, augmentation
from equicoherence.paths.masks import Masking
from equicoherence.paths.view_batch import share_of

from .pictures import textured


def make(share: float = 1.0, *, base: bool = True, moves: bool = True, floats: bool = False, **more: object) -> Views:
    path = SE2() if moves else None
    views = PathViews(augmentation(), augmentation(), path, size=32, base=base, share=share, **more)  # type: ignore[arg-type]
    images = textured(7, 48)
    return views(images if floats else (images * 255).byte(), torch.Generator().manual_seed(3))


def test_the_base_image_is_the_state_at_zero_and_changes_nothing_else() -> None:
    views, without = make(), make(base=False, positions=(0.0, 1 / 3, 2 / 3))
    assert views.base is not None
    assert torch.equal(views.base, without.targets[:, 0])
    assert torch.equal(views.targets, without.targets[:, 1:])
    assert without.base is None
    for name in ("v1", "v2", "theta"):
        assert torch.equal(getattr(views, name), getattr(without, name))
    assert [view.data_ptr() for view in views.invariant] == [views.v1.data_ptr(), views.base.data_ptr()]
    assert [id(view) for view in without.invariant] == [id(without.v1), id(without.v2)]


@pytest.mark.parametrize("more", [{"paired": True}, {"symmetric": 0.5}])
def test_others_goes_with_neither_pairs_nor_symmetries(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="others leaves the first images to the task, but paired"):
        make(0.4, others=True, **more)


def test_others_needs_a_share_that_leaves_some() -> None:
    with pytest.raises(ValueError, match=r"share 0\.9 is all of a batch of 7"):
        make(0.9, others=True)


def test_without_a_path_there_is_no_third_view() -> None:
    views = make(moves=False)
    assert views.base is None
    assert torch.equal(views.invariant[1], views.v2)


@pytest.mark.parametrize("floats", [True, False])
@pytest.mark.parametrize("base", [True, False])
def test_a_share_of_the_batch_has_the_path_and_its_pixels_are_the_same(base: bool, floats: bool) -> None:
    some, every = (make(share, base=base, floats=floats) for share in (0.4, 1.0))
    assert len(some.targets) == 3
    assert len(some.v2) == (3 if base else 7)
    assert torch.allclose(some.targets, every.targets[:3], atol=1e-5)
    assert torch.allclose(some.v2, every.v2[: len(some.v2)], atol=1e-5)
    assert torch.allclose(some.v1, every.v1, atol=1e-5)
    assert torch.allclose(some.invariant[1], every.invariant[1], atol=1e-5)
    assert torch.equal(some.theta, every.theta)


def test_crops_and_masks_depend_neither_on_the_base_nor_on_the_share() -> None:
    more = {"crops": 2, "crop_size": 16, "crop": augmentation(), "masking": Masking((4, 4), 0.5, (0.2, 0.5))}
    with_base, without = make(0.5, **more), make(base=False, **more)
    assert with_base.masks is not None
    assert without.masks is not None
    assert with_base.crops is not None
    assert torch.equal(with_base.crops, without.crops)  # type: ignore[arg-type]
    assert torch.equal(with_base.masks.tokens, without.masks.tokens)


def test_some_targets_and_the_first_samples() -> None:
    views = make(positions=(0.25, 0.5, 1.0))
    assert torch.equal(views.of_positions((1, 2)).targets, views.targets[:, 1:])
    assert torch.equal(views.of_positions((0, 2)).targets, views.targets[:, [0, 2]])
    assert views.of_positions((0, 2)).positions == (0.25, 1.0)
    assert views.of_positions((0, 1, 2)) is views
    first = views.first(2)
    for name in ("v1", "v2", "targets", "theta"):
        assert torch.equal(getattr(first, name), getattr(views, name)[:2])


@pytest.mark.parametrize(("share", "count"), [(1.0, 100), (0.5, 50), (0.07, 7), (0.071, 8), (1e-9, 1), (0.001, 1)])
def test_a_share_is_rounded_up(share: float, count: int) -> None:
    assert share_of(100, share) == count


def test_an_unknown_spacing_is_quoted() -> None:
    with pytest.raises(ValueError, match="spacing 'uneven' is unknown; choose one of even, random"):
        make(spacing="uneven")


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_out_of_range_is_quoted(share: float) -> None:
    with pytest.raises(ValueError, match=rf"share must lie in \(0, 1\], got {share}"):
        make(share)
