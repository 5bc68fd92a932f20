"""Views of one place: view 1 and u are the same box of the image, and all else is as drawn."""

import pytest
import torch

from equicoherence.paths import PathViews, augmentation, named_path
from equicoherence.paths.transformations.crop import ResizedCrop
from equicoherence.training import PretrainConfig, ViewsConfig

IMAGES = torch.rand(6, 3, 40, 40, generator=torch.Generator().manual_seed(0))


def _views(place, **strengths):
    plain = {"jitter_probability": 0.0, "grayscale": 0.0, "blur": 0.0, "flip": 0.5, **strengths}
    view = augmentation(**plain)
    made = PathViews(view, view, named_path("rotation"), size=16, place=place, base=True)
    return made(IMAGES, torch.Generator().manual_seed(3))


def test_without_colors_the_base_image_of_one_place_is_view_1():
    shared, own = _views("shared"), _views("independent")
    assert torch.equal(shared.v1, shared.base)
    assert not torch.equal(own.v1, own.base)
    assert torch.equal(shared.v1, own.v1)  # what is drawn for view 1 does not depend on it
    assert torch.equal(shared.theta, own.theta)


def test_colors_stay_those_of_each_view():
    shared = _views("shared", jitter_probability=1.0)
    assert (shared.v1 - shared.base).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_views_without_a_crop_and_misspelt_places_are_refused():
    plain = named_path("rotation")
    with pytest.raises(ValueError, match="both views must begin with a crop"):
        PathViews(plain, plain, plain, size=16, place="shared")
    crop = augmentation()
    with pytest.raises(ValueError, match="place 'same' is unknown"):
        PathViews(crop, crop, plain, size=16, place="same")
    assert [parameter.name for parameter in ResizedCrop().parameters][-1] == "flip"  # which places leave alone


@pytest.mark.parametrize("path", ["poses", "between"])
def test_paths_that_lead_from_one_view_to_the_other_share_no_place(path):
    with pytest.raises(ValueError, match=r"views\.place is shared, but with views\.path"):
        PretrainConfig(views=ViewsConfig(path=path, place="shared"))
