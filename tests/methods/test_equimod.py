"""EquiMod contrasts what its predictor expects of view 2 with view 2's own projection, beside SimCLR's loss."""

import pytest
import torch

from equicoherence.methods.equimod import EquiMod, EquiModConfig
from equicoherence.methods.simclr import SimCLR, nt_xent_loss
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves


def _slow_nt_xent(a, b, temperature):
    rows = [row / row.norm() for row in (*a, *b)]
    losses = []
    for i, row in enumerate(rows):
        scores = torch.stack([row @ other / temperature for j, other in enumerate(rows) if j != i])
        own = row @ rows[(i + len(a)) % len(rows)] / temperature
        losses.append(scores.logsumexp(dim=0) - own)
    return torch.stack(losses).mean()


def test_the_contrastive_loss_agrees_with_the_formula_row_by_row():
    predicted, true = leaves((7, 5), (7, 5))
    assert_agree(nt_xent_loss(predicted, true, 0.3), _slow_nt_xent(predicted, true, 0.3), [predicted, true])


def _method(weight=0.7):
    torch.manual_seed(0)
    return EquiMod(8, EquiModConfig(0.2, 12, 6, d_equi=6, theta_width=5, weight=weight), 3)


@pytest.mark.parametrize("half", [False, True])
def test_both_terms_are_those_of_the_formula(half):
    method, views = _method(), encoded()
    with mixed(half):
        losses, expected = method(views), SimCLR.forward(method, views)
        first, true = (method.embed(view) for view in views.equivariant)
        predicted = method.predict(first, views.theta)
    assert losses.keys() == {"contrastive", "equivariance"}
    assert abs(losses["contrastive"] - expected["contrastive"]) < 1e-6
    assert abs(losses["equivariance"] - 0.7 * _slow_nt_xent(predicted, true, 0.2)) < 1e-5


def test_the_right_prediction_costs_less_than_that_of_another_image():
    true = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    assert nt_xent_loss(true, true, 0.2) < nt_xent_loss(true.roll(1, 0), true, 0.2) - 1


def test_the_prediction_depends_on_theta():
    method, views = _method(), encoded()
    first = method.embed(views.equivariant[0])
    a, b = (method.predict(first, theta) for theta in (views.theta, views.theta.roll(1, 0)))
    assert (a - b).abs().max() > 1e-3


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded())
