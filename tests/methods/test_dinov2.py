"""KoLeo agrees with lightly's, value and gradient."""

import warnings

import torch

from equicoherence.methods.dinov2 import koleo_loss
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import KoLeoLoss


def test_agrees_with_lightly():
    (x,) = leaves((16, 6))
    assert_agree(koleo_loss(x), KoLeoLoss()(x), [x])
    assert_agree(koleo_loss(x, 1e-3), KoLeoLoss(eps=1e-3)(x), [x])


def test_is_minus_the_mean_log_of_the_smallest_distance():
    (x,) = leaves((9, 6))
    rows = x / x.norm(dim=1, keepdim=True)
    nearest = [min((rows[i] - rows[j]).norm() for j in range(9) if j != i) for i in range(9)]
    assert_agree(koleo_loss(x, 1e-12), -torch.stack(nearest).log().mean(), [x])


def test_a_collapsed_batch_has_a_large_but_finite_loss():
    spread = torch.eye(6)
    collapsed = torch.ones(6, 6)
    assert koleo_loss(collapsed).isfinite()
    assert koleo_loss(collapsed) > koleo_loss(spread) + 10
