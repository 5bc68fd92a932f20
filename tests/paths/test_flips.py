"""Views that are mirrored alike, each by itself, or not at all: batched, and all else in them the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from equicoherence.paths import Compose, PathViews, Pyramid, ResizedCrop, Rotation, Views, augmentation, render

from .pictures import textured

BATCH = 64
WHOLE = ResizedCrop((1.0, 1.0), (1.0, 1.0))  # the whole image, mirrored half of the time


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp() -> Tensor:
    """Return images that become brighter to the right: a mirrored one becomes darker."""
    return torch.linspace(0, 1, 32).expand(BATCH, 3, 32, 32).contiguous()


def made(flip: str, images: Tensor | None = None, path: Any = None, view: Any = WHOLE) -> Views:
    make = PathViews(view, view, path, size=16, crops=3, crop_size=8, crop=view, flip=flip)  # type: ignore[arg-type]
    return make(ramp() if images is None else images, seeded())


def mirrored(views: Views) -> Tensor:
    """Return which of v1, u and three crops (5, B) are mirrored."""
    assert views.crops is not None
    return torch.stack([v[:, 0, :, -1].mean(dim=1) < v[:, 0, :, 0].mean(dim=1) for v in (views.v1, views.v2)] + [
        crop[:, 0, :, -1].mean(dim=1) < crop[:, 0, :, 0].mean(dim=1) for crop in views.crops
    ])  # fmt: skip


def test_shared_is_one_flip_for_all_views_of_an_image_and_half_of_the_images_have_it() -> None:
    found = mirrored(made("shared"))
    assert bool((found == found[0]).all())
    assert 0.3 < float(found[0].float().mean()) < 0.7
    assert torch.equal(found[0], mirrored(made("independent"))[0])  # view 1's own


def test_independent_flips_are_each_views_own() -> None:
    found = mirrored(made("independent")).float()
    assert bool(((found.mean(dim=1) > 0.3) & (found.mean(dim=1) < 0.7)).all())
    assert float(torch.corrcoef(found).fill_diagonal_(0).abs().max()) < 0.4


def test_none_has_none() -> None:
    assert not mirrored(made("none")).any()


def test_independent_views_are_bit_by_bit_those_of_the_draws_themselves() -> None:
    images, view, path = (textured(6, 48) * 255).byte(), augmentation(), Rotation()
    found, again = made("independent", images, path, view), seeded()
    theta = [view.sample(6, again) for _ in range(2)]
    turn = path.sample(6, again)
    crops = view.sample(18, again).unflatten(0, (3, 6))
    pyramid = Pyramid.build(images, 16, 0.5)
    assert torch.equal(found.theta, turn)
    assert torch.equal(found.v1, render(pyramid, view.state(theta[0]), size=16))
    assert torch.equal(found.v2, render(pyramid, view.state(theta[1]), path.state(turn), size=16))
    assert found.crops is not None
    for crop, numbers in zip(found.crops, crops):
        assert torch.equal(crop, render(pyramid, view.state(numbers), size=8))


@pytest.mark.parametrize("flip", ["shared", "none"])
def test_all_but_the_flips_is_as_it_is_with_flips_of_their_own(flip: str) -> None:
    images, view, path = (textured(24, 48) * 255).byte(), augmentation(blur=0.0), Rotation()
    own, joint = (made(each, images, path, view) for each in ("independent", flip))
    assert torch.equal(own.theta, joint.theta)
    if flip == "shared":
        assert torch.equal(own.v1, joint.v1)
    drawn, again = [], seeded()
    for _ in range(2):
        drawn.append(view.sample(24, again))
    column = view.flips[0][0]
    same = drawn[1][:, column] == (drawn[0][:, column] if flip == "shared" else 0)
    assert 0 < int(same.sum()) < 24
    assert torch.equal(own.v2[same], joint.v2[same])
    assert not torch.equal(own.v2[~same], joint.v2[~same])


def test_the_generator_ends_in_one_state_whatever_the_flips() -> None:
    states = []
    for flip in ("shared", "independent", "none"):
        generator = seeded()
        PathViews(WHOLE, WHOLE, Rotation(), size=16, flip=flip)(ramp(), generator)  # type: ignore[arg-type]
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_views_without_a_flip_share_none_to_begin_with() -> None:
    turn = Rotation((0.0, 0.0))
    views = PathViews(turn, Compose(turn, turn), size=16)(ramp(), seeded())
    assert torch.allclose(views.v1, views.v2, atol=1e-5)


@pytest.mark.parametrize(
    ("second", "settings", "message"),
    [
        (augmentation(), {"flip": "both"}, "flip 'both' is unknown; choose one of shared, independent, none"),
        (
            augmentation(flip=0.25),
            {},
            r"same flip probability, but they have 0\.5; 0\.25; give them one",
        ),
        (Rotation(), {}, r"they have 0\.5; never"),
        (Compose(WHOLE, WHOLE), {}, r"they have 0\.5; 0\.5, 0\.5"),
        (augmentation(), {"crops": 2, "crop_size": 8, "crop": augmentation(flip=0.0)}, r"they have 0\.5; 0\.5; 0;"),
    ],
)
def test_flips_that_cannot_be_shared_are_quoted(second: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PathViews(augmentation(), second, size=16, **settings)
