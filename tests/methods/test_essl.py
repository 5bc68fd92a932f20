"""E-SSL classifies four rotations of a crop, beside SimCLR's loss."""

import math

import pytest
import torch

from equicoherence.methods.essl import ESSL, ESSLConfig, rotation_loss
from equicoherence.methods.simclr import SimCLR
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves


def test_agrees_with_the_formula_crop_by_crop():
    (logits,) = leaves((4, 5, 4))
    losses = [logits[turns, i].logsumexp(0) - logits[turns, i, turns] for turns in range(4) for i in range(5)]
    assert_agree(rotation_loss(logits), torch.stack(losses).mean(), [logits])


def test_is_zero_for_the_right_rotation_and_log_four_for_a_guess():
    right = 100 * torch.eye(4)[:, None].expand(-1, 5, -1)
    assert rotation_loss(right) < 1e-6
    assert rotation_loss(torch.zeros(4, 5, 4)).item() == pytest.approx(math.log(4))


def _method():
    torch.manual_seed(0)
    return ESSL(8, ESSLConfig(width=12, output=6, hidden=7))


@pytest.mark.parametrize("half", [False, True])
def test_the_added_term_weighs_as_published(half):
    method, views, crops = _method(), encoded(), encoded(4, seed=1)
    with mixed(half):
        losses, expected = method(views, None, crops), SimCLR.forward(method, views)
        logits = method.classifier(crops.summary.flatten(0, 1)).float().unflatten(0, (4, 12))
    assert losses.keys() == {"contrastive", "rotation"}
    assert abs(losses["contrastive"] - expected["contrastive"]) < 1e-6
    assert abs(losses["rotation"] - 0.4 * rotation_loss(logits)) < 1e-6


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded(), None, encoded(4, seed=1))


@pytest.mark.parametrize(("crops", "found"), [(None, 0), (encoded(3), 3)])
def test_other_crops_are_refused(crops, found):
    with pytest.raises(ValueError, match=f"4 rotated crops, got {found}"):
        _method()(encoded(), None, crops)
