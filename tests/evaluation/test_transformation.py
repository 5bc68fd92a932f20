"""Pairs of an image and its transformed self: nothing but the transformation tells it apart."""

import itertools

import pytest
import torch

from equicoherence.evaluation.transformation.pairs import pool_tokens
from equicoherence.evaluation.transformation.task import TransformationRegression
from equicoherence.paths import named_path
from equicoherence.paths.central import base_state
from equicoherence.paths.pair_images import BASE, SMALLER

NAMED = TransformationRegression().transformations


def test_tokens_are_averaged_to_at_most_7_by_7():
    tokens = torch.arange(196.0).view(1, 196, 1)  # a 14 x 14 grid: the first cell averages 0, 1, 14 and 15
    assert pool_tokens(tokens).shape == (1, 49, 1)
    assert pool_tokens(tokens)[0, 0] == 7.5
    assert torch.equal(pool_tokens(tokens[:, :16]), tokens[:, :16])
    with pytest.raises(ValueError, match="50 patch tokens"):
        pool_tokens(tokens[:, :50])


def test_each_transformation_is_a_part_of_its_own():
    parts = TransformationRegression(transformations=("rotation", "se2+blur")).parts()
    assert [part.variant for part in parts] == ["rotation", "se2+blur"]
    assert parts[0].of_control() == TransformationRegression(
        transformations=("rotation",), representations=("backbone",)
    )


@pytest.mark.parametrize("aspect", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", NAMED)
def test_base_crops_stay_inside_the_image_whatever_is_done_to_them(name, aspect):
    """So that border content leaks nothing: no pixel of g(I) is read beyond the source."""
    path = named_path(name)
    theta = torch.tensor(list(itertools.product(*((p.low, 0.0, p.high) for p in path.parameters))))
    base = base_state(torch.full((len(theta),), aspect), SMALLER.get(name, BASE))
    corners = torch.tensor([[-1.0, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]]).T
    assert (base.then(path.state(theta)).geometry @ corners)[:, :2].abs().max() <= 1
