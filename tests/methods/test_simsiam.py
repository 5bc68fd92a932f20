"""SimSiam's loss agrees with lightly's, value and gradient, and leaves the target alone."""

import warnings

from equicoherence.methods.simsiam import negative_cosine
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
