"""LeJEPA's losses agree with lightly's and with the integral, value and gradient, and the method trains by them."""

import warnings

import pytest
import torch

from equicoherence.methods.lejepa import LeJEPA, LeJEPAConfig, invariance_loss, random_directions, sigreg_loss
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss.lejepa_loss import SIGReg, lejepa_invariance_loss


class _Given(SIGReg):
    """lightly's SIGReg in float64, along given directions instead of random ones."""

    def __init__(self, directions, **options):
        super().__init__(num_vectors=directions.shape[1], **options)
        self.double()
        # lightly keeps float32 knots: the exact ones, so that float64 is compared with float64
        t = torch.linspace(0, options["t_max"], options["knots"], dtype=torch.float64)
        step = torch.full_like(t, 2 * options["t_max"] / (options["knots"] - 1))
        step[[0, -1]] /= 2
        self.t, self.phi, self.weights = t, torch.exp(-t.square() / 2), step * torch.exp(-t.square() / 2)
        self.directions = directions

    def _generate_unit_vectors(self, device, dtype, num_features):
        return self.directions


def _directions(width, count):
    return random_directions(width, count, torch.Generator().manual_seed(3)).double()


@pytest.mark.parametrize(("knots", "extent"), [(17, 3.0), (9, 5.0)])
@pytest.mark.parametrize("shape", [(24, 6), (3, 24, 6)])  # one batch, and views of one
def test_sigreg_agrees_with_lightly(shape, knots, extent):
    (z,) = leaves(shape)
    directions = _directions(6, 11)
    theirs = _Given(directions, knots=knots, t_max=extent)(z)
    assert_agree(sigreg_loss(z, directions, knots, extent), theirs, [z])


def test_sigreg_is_the_trapezoid_rule_over_the_symmetric_interval():
    (z,) = leaves((24, 6))
    directions = _directions(6, 4)
    t = torch.linspace(-3, 3, 33, dtype=torch.float64)
    statistics = []
    for direction in directions.T:
        empirical = torch.exp(1j * t * (z @ direction)[:, None]).mean(dim=0)
        error = (empirical - torch.exp(-t.square() / 2)).abs().square() * torch.exp(-t.square() / 2)
        statistics.append(24 * torch.trapezoid(error, t))
    assert_agree(sigreg_loss(z, directions), torch.stack(statistics).mean(), [z])


def test_sigreg_is_lower_for_a_gaussian_than_for_what_is_not_one():
    gaussian = leaves((512, 6))[0].detach()
    directions = _directions(6, 64)
    for other in (2 * gaussian, gaussian + 1, gaussian.sign(), torch.zeros_like(gaussian)):
        assert sigreg_loss(other, directions) > 3 * sigreg_loss(gaussian, directions)


def test_directions_are_unit_columns_and_a_function_of_the_generator():
    directions = _directions(6, 64)
    assert torch.allclose(directions.norm(dim=0), torch.ones(64, dtype=torch.float64))
    assert torch.equal(directions, _directions(6, 64))
    assert directions.mean(dim=1).abs().max() < 0.2


@pytest.mark.parametrize("global_views", [1, 2, 5])
def test_invariance_agrees_with_lightly(global_views):
    (views,) = leaves((5, 8, 6))
    theirs = lejepa_invariance_loss(all_proj=views, global_proj=views[:global_views])
    assert_agree(invariance_loss(views, global_views), theirs, [views])


def _method():
    torch.manual_seed(0)
    return LeJEPA(8, LeJEPAConfig(sigreg=0.2, directions=10, width=16, output=6))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("crops", [None, encoded(views=3, seed=1)])
def test_the_method_weighs_both_losses_of_all_views_projected_together(crops, half):
    method, views = _method(), encoded()
    with mixed(half):
        losses = method(views, None, crops)
        summaries = [*views.summary, *(crops.summary if crops else ())]
        z = method.projector(torch.cat(summaries)).unflatten(0, (len(summaries), -1)).float()
    assert abs(losses["invariance"] - 0.8 * invariance_loss(z, 2)) < 1e-6
    assert abs(losses["sigreg"] - 0.2 * sigreg_loss(z, method.directions)) < 1e-5


@pytest.mark.parametrize("crops", [None, encoded(views=3, seed=1)])
def test_the_method_trains_all_it_has(crops):
    assert_trains(_method(), encoded(), None, crops)


def test_every_step_has_directions_of_its_own_that_all_processes_and_resumed_runs_share():
    method, other = _method(), _method()
    first = method.directions.clone()
    torch.manual_seed(7)  # the global generator, which processes do not share, has no say
    method.update(4, 10)
    other.update(3, 10)
    assert not torch.equal(method.directions, first)
    assert not torch.equal(method.directions, other.directions)
    other.update(4, 10)
    assert torch.equal(method.directions, other.directions)
    resumed = _method()
    resumed.load_state_dict(method.state_dict())
    assert torch.equal(method.directions, resumed.directions)
    assert torch.allclose(resumed.directions.norm(dim=0), torch.ones(10))
