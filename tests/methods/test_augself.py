"""AugSelf regresses theta from both views, beside SimCLR's loss."""

import dataclasses

import pytest
import torch

from equicoherence.methods import Encoded
from equicoherence.methods.augself import AugSelf, AugSelfConfig
from equicoherence.methods.simclr import SimCLR
from tests.encoded import assert_trains, encoded, mixed


def _method():
    torch.manual_seed(0)
    return AugSelf(8, AugSelfConfig(width=12, output=6, hidden=7, weight=0.5), 3)


@pytest.mark.parametrize("half", [False, True])
def test_the_added_term_is_the_mean_squared_error_of_theta(half):
    method, views = _method(), encoded()
    with mixed(half):
        losses, expected = method(views), SimCLR.forward(method, views)
        regressed = method.regression(torch.cat([views.summary[0], views.summary[1]], dim=1)).float()
    errors = [(x - y).square().mean() for x, y in zip(regressed, views.theta)]
    assert losses.keys() == {"contrastive", "theta"}
    assert abs(losses["contrastive"] - expected["contrastive"]) < 1e-6
    assert abs(losses["theta"] - 0.5 * torch.stack(errors).mean()) < 1e-6


def test_the_right_theta_costs_nothing():
    method, views = _method().eval(), encoded()
    regressed = method.regression(torch.cat([*views.summary], dim=1))
    assert method(dataclasses.replace(views, theta=regressed))["theta"] == 0


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded())


def test_what_it_is_not_told_it_asks_for():
    with pytest.raises(ValueError, match="needs theta"):
        _method()(Encoded(torch.randn(2, 4, 8)))
