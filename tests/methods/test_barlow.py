"""Barlow Twins' loss agrees with lightly's, value and gradient, and the method trains by it."""

import warnings

import pytest
import torch

from equicoherence.methods.barlow import BarlowTwins, BarlowTwinsConfig, cross_correlation_loss
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import BarlowTwinsLoss


@pytest.mark.parametrize("width", [8, 40])  # narrower and wider than the batch: both ways to the off-diagonal
@pytest.mark.parametrize("lambda_", [5e-3, 0.7])
def test_agrees_with_lightly(width, lambda_):
    a, b = leaves((16, width), (16, width))
    theirs = BarlowTwinsLoss(lambda_param=lambda_)(a, b)
    assert_agree(cross_correlation_loss(a, b, lambda_), theirs, [a, b])


@pytest.mark.parametrize("width", [8, 40])
def test_agrees_with_the_formula_entry_by_entry(width):
    a, b = leaves((16, width), (16, width))
    x, y = ((z - z.mean(dim=0)) / (z.var(dim=0, unbiased=False) + 1e-5).sqrt() for z in (a, b))
    expected = torch.zeros((), dtype=torch.float64)
    for i in range(width):
        for j in range(width):
            correlation = (x[:, i] * y[:, j]).mean()
            expected = expected + ((1 - correlation) ** 2 if i == j else 0.3 * correlation**2)
    assert_agree(cross_correlation_loss(a, b, 0.3), expected, [a, b])


def test_is_small_for_equal_views_of_independent_features():
    (z,) = leaves((64, 9))
    independent = 8 * torch.linalg.qr(z.detach() - z.detach().mean(dim=0)).Q
    assert cross_correlation_loss(independent, independent, 1.0) < 1e-6


def _method():
    torch.manual_seed(0)
    return BarlowTwins(8, BarlowTwinsConfig(redundancy=0.3, width=16))


@pytest.mark.parametrize("half", [False, True])
def test_the_method_correlates_its_projections_in_full_precision(half):
    method, views = _method(), encoded()
    with mixed(half):
        loss = method(views)["cross_correlation"]
        a, b = (method.projector(view).float() for view in views.summary)
    assert abs(loss - cross_correlation_loss(a, b, 0.3)) < 1e-6


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded())
