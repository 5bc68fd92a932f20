"""BYOL's loss agrees with lightly's cosine, value and gradient."""

import warnings

import torch

from equicoherence.methods.byol import regression_loss
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import NegativeCosineSimilarity


def test_agrees_with_lightly():
    prediction, target = leaves((16, 8), (16, 8))
    theirs = 2 + 2 * NegativeCosineSimilarity()(prediction, target)
    assert_agree(regression_loss(prediction, target), theirs, [prediction, target])


def test_is_the_squared_distance_of_normalised_rows():
    prediction, target = leaves((16, 8), (16, 8))
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (prediction, target))
    assert_agree(regression_loss(prediction, target), (a - b).square().sum(dim=1).mean(), [prediction, target])


def test_goes_from_zero_to_four_whatever_the_length():
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert abs(regression_loss(x, 3 * x)) < 1e-5
    assert abs(regression_loss(x, -2 * x) - 4) < 1e-5
