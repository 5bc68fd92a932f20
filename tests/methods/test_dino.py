"""DINO's loss and centre agree with lightly's, Sinkhorn-Knopp with the published iteration; the method uses them."""

import dataclasses
import math
import warnings

import pytest
import torch

from equicoherence.methods.dino import DINO, DINOConfig, cross_entropy, dino_loss
from equicoherence.methods.targets import centred, sinkhorn_knopp, update_centre
from equicoherence.models import PrototypeHead
from tests.encoded import NoWaiting, assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import DINOLoss

SMALL = DINOConfig(prototypes=20, hidden=12, bottleneck=6)


def _slow_sinkhorn(logits, temperature, iterations):
    q = torch.exp(logits / temperature).T  # prototypes by rows, as published
    prototypes, samples = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(dim=1, keepdim=True) / prototypes
        q = q / q.sum(dim=0, keepdim=True) / samples
    return (q * samples).T


@pytest.mark.parametrize("views", [2, 3, 8])
def test_loss_and_centre_agree_with_lightly(views):
    student, teacher, centre = leaves((views, 6, 12), (2, 6, 12), (12,))
    teacher, centre = teacher.detach(), centre.detach()
    reference = DINOLoss(output_dim=12, center_momentum=0.8).double()
    reference.center.copy_(centre)
    theirs = reference(list(teacher), list(student), teacher_temp=0.0625)
    assert_agree(dino_loss(student, centred(teacher, centre, 0.0625)), theirs, [student])
    assert torch.allclose(update_centre(centre, teacher, 0.8), reference.center.flatten(), atol=1e-12)


def test_loss_is_the_mean_cross_entropy_over_pairs_of_different_views():
    student, teacher = leaves((5, 6, 12), (2, 6, 12))
    probabilities = centred(teacher, torch.zeros(12), 0.07)
    pairs = [(t, v) for t in range(2) for v in range(5) if t != v]
    expected = torch.stack([cross_entropy(student[v], probabilities[t], 0.3).mean() for t, v in pairs]).mean()
    assert_agree(dino_loss(student, probabilities, 0.3), expected, [student])


def test_cross_entropy_is_lowest_where_the_student_is_the_teacher():
    (logits,) = leaves((7, 12))
    probabilities = torch.softmax(logits.detach() / 0.1, dim=-1)
    (gradient,) = torch.autograd.grad(cross_entropy(logits, probabilities, 0.1).sum(), logits)
    assert gradient.abs().max() < 1e-12
    entropy = -torch.xlogy(probabilities, probabilities).sum(dim=-1)
    assert torch.allclose(cross_entropy(logits, probabilities, 0.1), entropy)


def test_centre_is_a_mean_over_rows_and_stays_where_there_are_none():
    centre, rows = torch.tensor([1.0, 3.0]), torch.tensor([[[0.0, 1.0]], [[4.0, 3.0]]])
    assert torch.allclose(update_centre(centre, rows, 0.75), torch.tensor([1.25, 2.75]))
    assert torch.equal(update_centre(centre, torch.empty(0, 2), 0.75), centre)


@pytest.mark.parametrize("iterations", [1, 3, 6])
def test_sinkhorn_knopp_agrees_with_the_published_iteration(iterations):
    (logits,) = leaves((9, 5))
    found = sinkhorn_knopp(logits, 0.3, iterations)
    assert not found.requires_grad
    assert (found - _slow_sinkhorn(logits.detach(), 0.3, iterations)).abs().max() < 1e-12


def test_sinkhorn_knopp_uses_prototypes_alike_and_rows_sum_to_one():
    logits = leaves((40, 8))[0].detach().float()
    probabilities = sinkhorn_knopp(logits, 0.5, 50)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(40), atol=1e-5)
    assert torch.allclose(probabilities.sum(dim=0), torch.full((8,), 40 / 8), atol=1e-3)


def test_sinkhorn_knopp_stands_logits_whose_exponential_overflows():
    logits = 50 * leaves((40, 8))[0].detach()
    wide, narrow = sinkhorn_knopp(logits, 0.04), sinkhorn_knopp(logits.float(), 0.04)
    assert narrow.isfinite().all()
    assert (wide - narrow).abs().max() < 1e-2
    assert torch.allclose(narrow.sum(dim=1), torch.ones(40), atol=1e-5)


def test_sinkhorn_knopp_of_no_rows_is_no_rows():
    assert sinkhorn_knopp(torch.empty(0, 8), 0.04).shape == (0, 8)


def _method(d_equi=0, **changes):
    torch.manual_seed(0)
    return DINO(8, dataclasses.replace(SMALL, **changes), d_equi)


def test_the_loss_is_that_of_its_own_logits_of_all_views_from_one_call_of_the_head():
    method, student, teacher, crops = _method(), encoded(), encoded(seed=1), encoded(views=3, seed=2)
    method.targets.centre += torch.linspace(-0.2, 0.2, 20)
    method.update(0, 100)  # the teacher's head is still the student's
    method.head.mlp[0].weight.data += 0.1  # now it is not
    calls = []
    method.head.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape))
    found = method.eval()(student, teacher, crops)["class"]
    assert calls == [(5, 12, 8)]
    logits = torch.stack([method.head(view) for view in (*student.summary, *crops.summary)])
    targets = centred(method.teacher(teacher.summary), method.targets.centre, 0.043)
    assert torch.allclose(found, dino_loss(logits, targets), atol=1e-6)


def test_without_crops_the_other_global_view_is_left():
    method, student, teacher = _method(), encoded(), encoded(seed=1)
    a, b = method.head(student.summary)
    p, q = centred(method.teacher(teacher.summary), torch.zeros(20), 0.04)
    expected = (cross_entropy(a, q) + cross_entropy(b, p)).mean() / 2
    assert torch.allclose(method(student, teacher)["class"], expected, atol=1e-6)


def test_the_centre_follows_the_teachers_logits_after_the_targets_are_made():
    method, student, teacher = _method(), encoded(), encoded(seed=1)
    expected = method.eval()(student, teacher)["class"]
    assert method.targets.centre.eq(0).all()  # evaluation leaves it
    assert torch.equal(method.train()(student, teacher)["class"], expected)
    mean = method.teacher(teacher.summary).mean(dim=(0, 1))
    assert torch.allclose(method.targets.centre, 0.1 * mean, atol=1e-7)
    assert not torch.equal(method(student, teacher)["class"], expected)
    assert torch.allclose(method.targets.centre, 0.19 * mean, atol=1e-7)


def test_sinkhorn_takes_the_centres_place_over_both_views_together():
    method, student, teacher = _method(centring="sinkhorn"), encoded(), encoded(seed=1)
    targets = sinkhorn_knopp(method.teacher(teacher.summary).flatten(0, 1), 0.04).unflatten(0, (2, 12))
    expected = dino_loss(method.head(student.summary), targets)
    assert torch.allclose(method(student, teacher)["class"], expected, atol=1e-6)
    assert method.targets.centre is None


@pytest.mark.parametrize(("done", "expected"), [(0, 0.04), (1, 0.043), (5, 0.055), (10, 0.07), (99, 0.07)])
def test_the_teachers_temperature_rises_over_its_share_of_all_steps(done, expected):
    method = _method()
    for step in range(done):
        method.update(step, 100)
    assert method.temperature.item() == pytest.approx(expected)
    assert "temperature" in method.state_dict()  # or a resumed run would begin again


def test_without_warm_up_the_teachers_temperature_is_there_at_once():
    assert _method(temperature_warmup=0.0).temperature.item() == pytest.approx(0.07)


@pytest.mark.parametrize("step", [0, 25, 50, 100])
def test_the_momentum_is_the_published_one(step):
    expected = 1 - 0.004 * (math.cos(math.pi * step / 100) + 1) / 2
    assert _method().momentum(step, 100) == pytest.approx(expected, abs=1e-12)


def test_an_update_moves_the_teachers_head():
    method = _method(momentum=0.9)
    before = method.teacher.last_layer.weight.clone()
    method.head.last_layer.weight.data += 1
    method.update(0, 10)
    assert torch.allclose(method.teacher.last_layer.weight, before + 0.1, atol=1e-6)


def test_a_split_head_keeps_the_last_outputs_for_the_task_and_the_softmax_over_the_others():
    method, tokens = _method(d_equi=5), encoded().tokens
    whole = PrototypeHead(8, 12, 6, 20)
    whole.load_state_dict(method.head.state_dict())
    assert torch.allclose(method.equivariant(tokens), whole(tokens)[..., 15:], atol=1e-6)
    assert torch.allclose(method.head(tokens), whole(tokens)[..., :15], atol=1e-6)
    assert len(method.targets.centre) == 15


def test_a_split_that_leaves_nothing_to_the_softmax_is_refused():
    with pytest.raises(ValueError, match="d_equi 20 leaves none of the head's 20"):
        _method(d_equi=20)
    with pytest.raises(ValueError, match="centring 'mean'"):
        _method(centring="mean")


@pytest.mark.parametrize("crops", [0, 3])
@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize("centring", ["ema", "sinkhorn"])
def test_everything_trains(crops, precise, centring):
    with mixed(not precise):
        assert_trains(
            _method(centring=centring), encoded(), encoded(seed=1), encoded(views=crops, seed=2) if crops else None
        )


@pytest.mark.parametrize("centring", ["ema", "sinkhorn"])
def test_nothing_waits_for_the_device(centring):
    method, views = _method(centring=centring), [encoded(count, seed=count) for count in (2, 2, 3)]
    with NoWaiting():
        torch.stack(list(method(*views).values())).sum().backward()
        method.update(0, 10)
