"""KoLeo agrees with lightly's, value and gradient; DINOv2 adds it to iBOT."""

import dataclasses
import warnings

import pytest
import torch

from equicoherence.methods.dino import DINO, DINOConfig
from equicoherence.methods.dinov2 import DINOv2, DINOv2Config, koleo_loss
from equicoherence.methods.ibot import IBOT
from equicoherence.training.optim import build_optimizer
from equicoherence.training.optim_config import OptimConfig
from tests.encoded import NoWaiting, assert_trains, encoded, mixed, with_masks
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import KoLeoLoss

SMALL = DINOv2Config(prototypes=20, hidden=12, bottleneck=6)


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


def _method(**changes: float) -> DINOv2:
    torch.manual_seed(0)
    return DINOv2(8, dataclasses.replace(SMALL, **changes))


def test_lengths_of_prototypes_are_trained_and_decay_as_part_of_the_last_layer_and_dinos_are_fixed():
    groups = {}
    for method in (DINOv2(8, SMALL), DINO(8, DINOConfig(prototypes=20, hidden=12, bottleneck=6))):
        named = {id(parameter): name for name, parameter in method.named_parameters()}
        optimizer = build_optimizer(method, OptimConfig(freeze_last_layer=1))
        groups[type(method)] = {named[id(p)]: group for group in optimizer.param_groups for p in group["params"]}
    of_lengths = groups[DINOv2]["head.patch.last_layer.length"]
    assert (of_lengths["last_layer"], of_lengths["decays"]) == (True, True)
    assert not any(name.endswith("length") for name in groups[DINO])


def test_koleo_of_the_students_global_summaries_is_added_to_ibots_losses():
    student, teacher, crops = with_masks(encoded()), encoded(seed=1), encoded(views=3, seed=2)
    torch.manual_seed(0)
    expected = IBOT(8, SMALL)(student, teacher, crops)
    found = _method(koleo=0.25)(student, teacher, crops)
    assert set(found) == {"class", "patch", "koleo"}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    both = koleo_loss(student.summary[0]) + koleo_loss(student.summary[1])
    assert torch.allclose(found["koleo"], 0.25 * both)


def test_koleo_reaches_the_encoder_without_the_head():
    student = encoded()
    student.summary.requires_grad_()
    method = _method()
    method(student, encoded(seed=1))["koleo"].backward()
    assert student.summary.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in method.parameters())


@pytest.mark.parametrize(("step", "expected"), [(0, 0.992), (50, 0.996), (100, 1.0)])
def test_the_momentum_is_that_of_the_short_recipe(step, expected):
    assert _method().momentum(step, 100) == pytest.approx(expected)


@pytest.mark.parametrize("precise", [True, False])
def test_everything_trains(precise):
    with mixed(not precise):
        assert_trains(_method(), with_masks(encoded()), encoded(seed=1), encoded(views=3, seed=2))


def test_nothing_waits_for_the_device():
    method, views = _method(), [with_masks(encoded()), encoded(seed=1)]
    with NoWaiting():
        torch.stack(list(method(*views).values())).sum().backward()
