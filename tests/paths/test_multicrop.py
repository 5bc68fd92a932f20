"""Local crops and masks beside the two views."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths import (
    SE2,
    Compose,
    PathViews,
    Pyramid,
    ResizedCrop,
    Rotation,
    Transformation,
    augmentation,
    render,
)
from equicoherence.paths.masks import Masking, block_masks

from .pictures import smooth, textured

LOCAL = augmentation((0.05, 0.32))
STILL = ResizedCrop((1.0, 1.0), (1.0, 1.0), flip=0.0)  # the whole image as it is


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def multicrop(path: Transformation | None = None, **settings) -> Any:
    """Return views with five local crops; their optional fields are there, so that they need no check of type."""
    settings = {"size": 32, "crops": 5, "crop_size": 16, "crop": LOCAL, "flip": "independent", **settings}
    return PathViews(augmentation(), augmentation(), path, **settings)


def test_shapes_and_range():
    views = multicrop(masking=Masking((4, 4)))((textured(6, 48) * 255).byte(), seeded())
    assert views.crops.shape == (5, 6, 3, 16, 16)
    assert views.crops.dtype == torch.float32
    assert 0 <= float(views.crops.min()) < float(views.crops.max()) <= 1
    assert views.masks.tokens.shape == (2, 6, 16)
    assert int(views.masks.tokens.any(dim=-1).sum()) == 6


def test_without_crops_and_masking_there_are_none():
    views = PathViews(STILL, STILL, size=32)(smooth(2, 32), seeded())
    assert views.crops is None
    assert views.masks is None


def test_crops_and_masks_change_nothing_else():
    images, path = textured(6, 96), Compose(SE2(), Rotation())
    plain = PathViews(augmentation(), augmentation(), path, size=32, flip="independent")(images, seeded())
    views = multicrop(path, masking=Masking((4, 4)))(images, seeded())
    for name in ("v1", "v2", "targets", "theta"):
        assert torch.equal(getattr(views, name), getattr(plain, name)), name
    assert torch.equal(multicrop(path)(images, seeded()).crops, views.crops)


def test_the_masks_are_drawn_after_the_crops():
    views = multicrop(masking=Masking((4, 4)))
    generator = seeded()
    for drawn in (6, 6, 30):
        LOCAL.sample(drawn, generator)
    expected = block_masks(Masking((4, 4)), 12, generator).view(2, 6, 16)
    assert torch.equal(views(smooth(6, 32), seeded()).masks.tokens, expected)


def test_each_crop_is_the_render_of_its_own_draw():
    images, aspect = textured(7, 96), torch.linspace(0.5, 2.0, 7)
    views = multicrop()(images, seeded(3), aspect)
    again = seeded(3)
    for _ in range(2):
        augmentation().sample(7, again, aspect)
    theta = LOCAL.sample(35, again, aspect.repeat(5)).view(5, 7, -1)
    for crop, numbers in zip(views.crops, theta):
        assert torch.allclose(crop, render(Pyramid.build(images, 16), LOCAL.state(numbers), size=16), atol=1e-4)
    assert float((views.crops[0] - views.crops[1]).abs().mean()) > 0.02  # no two are the same


def test_a_crop_shows_its_region_of_the_source():
    """Red rises to the right and green downwards, so colors say where each pixel comes from."""
    ramp = torch.linspace(0, 1, 129)[:-1] + 0.5 / 128
    images = torch.stack([ramp.expand(128, 128), ramp[:, None].expand(128, 128), torch.zeros(128, 128)]).repeat(
        50, 1, 1, 1
    )
    crop = ResizedCrop((0.1, 0.2), flip=0.0)
    crops = multicrop(crop=crop, size=64, crops=2, crop_size=32)(images, seeded()).crops.flatten(0, 1)
    width, height = (span(crops[:, 0, 16]), span(crops[:, 1, :, 16]))
    assert 0.1 - 0.01 < float((width * height).min()) < float((width * height).max()) < 0.2 + 0.01
    assert 3 / 4 - 0.05 < float((width / height).min()) < float((width / height).max()) < 4 / 3 + 0.05
    centre = crops[:, :2, 15:17, 15:17].mean(dim=(2, 3))
    assert float(centre.min()) < 0.35 < 0.65 < float(centre.max())  # from all over the image


def span(line: Tensor) -> Tensor:
    """Return the width of the region that (B, S) ramps show, their outer half pixels included."""
    return (line[:, -1] - line[:, 0]) * line.shape[1] / (line.shape[1] - 1)


@pytest.mark.parametrize("crop_size", [32, 12])
def test_crops_are_antialiased_down_to_the_whole_image(crop_size):
    images = textured(8, 192)
    crops = multicrop(crop=STILL, size=64, crops=1, crop_size=crop_size)(images, seeded()).crops[0]
    filtered = F.interpolate(images, (crop_size, crop_size), mode="bilinear", antialias=True)
    naive = F.interpolate(images, (crop_size, crop_size), mode="bilinear")
    assert float((crops - filtered).abs().mean()) < 0.3 * float((naive - filtered).abs().mean())


def test_one_crop_in_four_rotations_turns_counter_clockwise():
    images = textured(3, 32)
    crops = multicrop(crop=STILL, size=32, crops=4, crop_size=32, crop_rotations=True)(images, seeded()).crops
    still = multicrop(crop=STILL, size=32, crops=1, crop_size=32)(images, seeded()).crops[0]
    for turns, crop in enumerate(crops):
        angle = torch.full((3, 1), 90.0 * turns)
        expected = render(Pyramid.build(still, 32), Rotation((0, 360)).state(angle), size=32)
        assert torch.allclose(crop, expected, atol=1e-4)


def test_rotated_crops_draw_the_parameters_of_one():
    generator, other = seeded(), seeded()
    multicrop(crops=4, crop_rotations=True)(smooth(6, 32), generator)
    multicrop(crops=1)(smooth(6, 32), other)
    assert torch.equal(generator.get_state(), other.get_state())


def test_an_empty_batch_gives_empty_crops():
    views = multicrop(masking=Masking((4, 4)))(torch.zeros(0, 3, 48, 48, dtype=torch.uint8), seeded())
    assert views.crops.shape == (5, 0, 3, 16, 16)
    assert views.masks.tokens.shape == (2, 0, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crops": -1}, "got -1"),
        ({"crop_size": 0}, "crop_size of at least 1; got .*, 0"),
        ({"crop": None}, "5 local crops need crop"),
        ({"crop_rotations": True}, "one crop in four rotations is 4 crops, got 5"),
    ],
)
def test_bad_settings_are_quoted(settings, message):
    with pytest.raises(ValueError, match=message):
        multicrop(**settings)
