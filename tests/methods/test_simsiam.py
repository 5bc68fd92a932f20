"""SimSiam's loss agrees with lightly's, value and gradient, leaves the target alone, and the method trains by it."""

import warnings

import pytest
import torch

from equicoherence.methods.simsiam import SimSiam, SimSiamConfig, negative_cosine
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import NegativeCosineSimilarity


def test_agrees_with_lightly():
    prediction, target = leaves((16, 8), (16, 8))
    theirs = NegativeCosineSimilarity()(prediction, target.detach())
    assert_agree(negative_cosine(prediction, target), theirs, [prediction])


def test_the_target_has_no_gradient():
    prediction, target = leaves((16, 8), (16, 8))
    negative_cosine(prediction, target).backward()
    assert prediction.grad is not None
    assert target.grad is None


def _method():
    torch.manual_seed(0)
    return SimSiam(8, SimSiamConfig(width=16, bottleneck=4))


@pytest.mark.parametrize("half", [False, True])
def test_the_method_predicts_each_view_from_the_other(half):
    method, views = _method(), encoded()
    with mixed(half):
        loss = method(views)["similarity"]
        a, b = (method.projector(view) for view in views.summary)
        prediction_a, prediction_b = method.predictor(a).float(), method.predictor(b).float()
    expected = negative_cosine(prediction_a, b.float()) / 2 + negative_cosine(prediction_b, a.float()) / 2
    assert abs(loss - expected) < 1e-6


def test_projections_are_normalised_over_the_batch():
    projections = _method().projector(encoded().summary[0])
    assert projections.mean(dim=0).abs().max() < 1e-5
    assert (projections.std(dim=0, correction=0) - 1).abs().max() < 1e-2


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded())
