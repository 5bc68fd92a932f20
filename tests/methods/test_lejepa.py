"""LeJEPA's losses agree with lightly's and with the integral, value and gradient."""

import warnings

import pytest
import torch

from equicoherence.methods.lejepa import invariance_loss, random_directions, sigreg_loss
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
