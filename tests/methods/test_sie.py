"""SIE's losses are those of the paper, its predictor multiplies by a matrix of theta, and learns to."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from equicoherence.methods import Encoded
from equicoherence.methods.sie import SIE, LinearHypernetwork, SIEConfig, sie_losses
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves


def _spread(z):
    """Return the hinge of each column's standard deviation, averaged, one column after another."""
    return torch.stack([F.relu(1 - (column.var() + 1e-4).sqrt()) for column in z.unbind(1)]).mean()


def _redundancy(z):
    """Return the squared covariances of all pairs of columns over their number of columns, one pair after another."""
    centred = (z - z.mean(dim=0)).unbind(1)
    pairs = [(a @ b / (len(z) - 1)) ** 2 for i, a in enumerate(centred) for j, b in enumerate(centred) if i != j]
    return torch.stack(pairs).sum() / z.shape[1]


def _reference(inv_a, inv_b, equi_a, equi_b, predicted):
    a, b = torch.cat([inv_a, equi_a], dim=1), torch.cat([inv_b, equi_b], dim=1)
    return {
        "invariance": torch.stack([(x - y).pow(2).mean() for x, y in zip(inv_a, inv_b)]).mean(),
        "equivariance": torch.stack([(x - y).pow(2).mean() for x, y in zip(predicted, equi_b)]).mean(),
        "variance": (_spread(a) + _spread(b)) / 2,
        "predictor": _spread(predicted) / 2,
        "covariance": _redundancy(a) + _redundancy(b),
    }


@pytest.mark.parametrize("width", [3, 12])  # both embeddings together narrower and wider than the batch
def test_agrees_with_the_formulas_entry_by_entry(width):
    inputs = leaves(*[(9, width)] * 5)

    def small():  # below the hinge of the variance
        return [0.5 * x for x in inputs]

    inv_a, inv_b, equi_a, equi_b, predicted = small()
    ours, expected = sie_losses((inv_a, inv_b), (equi_a, equi_b), predicted), _reference(*small())
    assert ours.keys() == expected.keys()
    assert all(abs(ours[name] - expected[name]) < 1e-10 for name in ours)
    assert_agree(torch.stack([*ours.values()]).sum(), torch.stack([*expected.values()]).sum(), inputs)


def test_a_collapsed_prediction_costs_half_of_collapsed_embeddings():
    constant = torch.ones(9, 4)
    losses = sie_losses((constant, constant), (constant, constant), constant)
    assert losses["variance"] == pytest.approx(0.99)  # 1 less the root of epsilon, as published
    assert losses["predictor"] == pytest.approx(0.495)


def test_both_expanders_together_are_as_wide_as_published():
    method = SIE(256, SIEConfig(), 4)
    for expander in (method.invariant_expander, method.equivariant_expander):
        assert [layer.out_features for layer in expander if isinstance(layer, nn.Linear)] == [1024, 1024, 1024]
    assert method.predictor.matrices.out_features == 1024


def _method(width=12, d_equi=6):
    torch.manual_seed(0)
    return SIE(8, SIEConfig(d_equi=d_equi, width=width), 3)


@pytest.mark.parametrize("half", [False, True])
def test_terms_are_weighted_as_published(half):
    method, views = _method(), encoded()
    with mixed(half):
        losses = method(views)
        invariant = [method.invariant_expander(view).float() for view in views.summary]
        equivariant = [method.embed(view) for view in views.equivariant]
        predicted = method.predict(equivariant[0], views.theta)
    weights = {"invariance": 10, "equivariance": 4.5, "variance": 10, "predictor": 10, "covariance": 1}
    expected = _reference(*invariant, *equivariant, predicted)
    assert losses.keys() == expected.keys()
    assert all(abs(losses[name] - weights[name] * expected[name]) < 1e-4 for name in weights)


def test_the_predictor_multiplies_each_row_by_its_own_matrix():
    predictor = LinearHypernetwork(3, 5).double()
    z, theta = leaves((7, 5), (7, 3))
    *by_theta, constant = predictor.matrices.weight.unflatten(1, (4, 5)).unbind(1)
    for row, numbers, found in zip(z, theta, predictor(z, theta)):
        matrix = constant + sum(number * each for number, each in zip(numbers, by_theta))
        assert torch.allclose(found, matrix @ row)


def _turned(batch, generator):
    """Return what an encoder could say of views turned by (cos, sin) = theta, in which the turn is a matrix."""
    angle = 6.2832 * torch.rand(batch, generator=generator)
    c, s = angle.cos(), angle.sin()
    first = torch.randn(batch, 2, generator=generator)
    turned = torch.stack([c * first[:, 0] - s * first[:, 1], s * first[:, 0] + c * first[:, 1]], dim=1)
    summary = torch.randn(1, batch, 8, generator=generator).expand(2, -1, -1)
    return Encoded(summary, equivariant=torch.stack([first, turned]), theta=torch.stack([c, s], dim=1))


def test_the_true_predictor_leaves_no_equivariance_loss():
    method = SIE(8, SIEConfig(d_equi=2, width=2), 2)
    method.equivariant_expander = nn.Sequential(nn.Identity())
    cos, sin, constant = torch.eye(2), torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.zeros(2, 2)
    method.predictor.matrices.weight.data = torch.cat([cos, sin, constant], dim=1)
    views = _turned(16, torch.Generator().manual_seed(0))
    assert method(views)["equivariance"] < 1e-10
    assert method(Encoded(views.summary, equivariant=views.equivariant, theta=-views.theta))["equivariance"] > 1


def test_the_predictor_learns_what_theta_does():
    torch.manual_seed(0)
    method = SIE(8, SIEConfig(d_equi=2, width=16), 2).train()
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        torch.stack(list(method(_turned(128, generator)).values())).sum().backward()
        optimizer.step()
    views = _turned(64, generator)
    with torch.no_grad():
        first, second = (method.embed(view) for view in views.equivariant)
        told, misled = (method.predict(first, theta) - second for theta in (views.theta, views.theta.roll(1, 0)))
    assert told.square().mean() < 0.25 * misled.square().mean()
    assert told.square().mean() < 0.5 * second.var()  # the mean embedding as the prediction leaves all of it


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded())


def test_what_it_is_not_told_it_asks_for():
    with pytest.raises(ValueError, match="told = True"):
        _method()(Encoded(torch.randn(2, 4, 8)))
