"""Losses agree with lightly's, value and gradient."""

import warnings

import pytest
import torch
import torch.nn.functional as F

from equicoherence.methods import Encoded
from equicoherence.methods.simclr import SimCLR, SimCLRConfig, nt_xent_loss
from equicoherence.methods.vicreg import VICReg, VICRegConfig, covariance_loss, variance_loss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import NTXentLoss, VICRegLoss


def _pair(width):
    torch.manual_seed(0)
    return torch.randn(32, width, dtype=torch.float64, requires_grad=True), torch.randn(
        32, width, dtype=torch.float64, requires_grad=True
    )


def _vicreg(a, b):
    spread = (variance_loss(a) + variance_loss(b)) / 2
    return 25 * F.mse_loss(a, b) + 25 * spread + covariance_loss(a) + covariance_loss(b)


@pytest.mark.parametrize("width", [16, 100])  # narrower and wider than the batch: both Gram matrices
def test_vicreg_agrees_with_lightly(width):
    a, b = _pair(width)
    ours, theirs = _vicreg(a, b), VICRegLoss()(a, b)
    assert abs(ours - theirs) < 1e-5
    for x, y in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(theirs, (a, b))):
        assert torch.allclose(x, y, atol=1e-5)


def test_simclr_agrees_with_lightly():
    a, b = _pair(24)
    ours, theirs = nt_xent_loss(a, b, 0.3), NTXentLoss(temperature=0.3)(a, b)
    assert abs(ours - theirs) < 1e-5
    for x, y in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(theirs, (a, b))):
        assert torch.allclose(x, y, atol=1e-5)


def test_vicreg_terms_are_weighted_and_named():
    torch.manual_seed(0)
    method = VICReg(8, VICRegConfig(width=16)).eval()
    tokens = torch.randn(2, 12, 4, 8)
    losses = method(Encoded(tokens.mean(dim=2), tokens))
    a, b = (method.projector(view.mean(dim=1)) for view in tokens)
    assert set(losses) == {"invariance", "variance", "covariance"}
    assert torch.allclose(sum(losses.values()), _vicreg(a, b), atol=1e-5)


def test_simclr_is_lower_for_views_that_agree():
    torch.manual_seed(0)
    method = SimCLR(8, SimCLRConfig(width=16, output=8)).eval()
    same, different = torch.randn(1, 12, 4, 8).repeat(2, 1, 1, 1), torch.randn(2, 12, 4, 8)
    losses = [method(Encoded(tokens.mean(dim=2), tokens))["contrastive"] for tokens in (same, different)]
    assert losses[0] < losses[1]
