"""iBOT's patch loss agrees with lightly's, value and gradient; the method masks no more than it is told."""

import dataclasses
import warnings
from typing import Any

import pytest
import torch

from equicoherence.methods import Encoded
from equicoherence.methods.dino import cross_entropy, dino_loss
from equicoherence.methods.ibot import IBOT, IBOTConfig, masked_patch_loss
from equicoherence.methods.targets import centred, sinkhorn_knopp
from equicoherence.models import PrototypeHead
from tests.encoded import NoWaiting, assert_trains, encoded, mixed, with_masks
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import IBOTPatchLoss

SMALL = IBOTConfig(prototypes=20, hidden=12, bottleneck=6)


def _masks() -> tuple[torch.Tensor, torch.Tensor]:
    """Return masks (4, 3, 3) of 2, 0, 4 and 1 tokens, and the weight of each masked token."""
    masks = torch.zeros(4, 9, dtype=torch.bool)
    masks[0, [1, 7]] = True
    masks[2, 2:6] = True
    masks[3, 0] = True
    return masks.view(4, 3, 3), torch.tensor([1 / 2] * 2 + [1 / 4] * 4 + [1.0], dtype=torch.float64)


def test_agrees_with_lightly_also_where_a_sample_has_no_mask():
    masks, weights = _masks()
    student, teacher = leaves((7, 12), (7, 12))
    teacher = teacher.detach()
    theirs = IBOTPatchLoss(output_dim=12)(teacher, student, masks, teacher_temp=0.0625)
    probabilities = centred(teacher, torch.zeros(12), 0.0625)
    assert_agree(masked_patch_loss(student, probabilities, weights, samples=4), theirs, [student])


def test_every_masked_sample_weighs_the_same_however_many_its_tokens():
    _, weights = _masks()
    student, teacher = leaves((7, 12), (7, 12))
    probabilities = centred(teacher, torch.zeros(12), 0.0625)
    per_token = cross_entropy(student, probabilities, 0.2)
    expected = (per_token[:2].mean() + per_token[2:6].mean() + per_token[6]) / 4
    assert_agree(masked_patch_loss(student, probabilities, weights, 4, temperature=0.2), expected, [student])


def _method(d_equi: int = 0, **changes: Any) -> IBOT:
    torch.manual_seed(0)
    method = IBOT(8, dataclasses.replace(SMALL, **changes), d_equi)
    method.head.patch.mlp[0].weight.data += 0.1  # so that teacher and student differ
    return method


def _views() -> tuple[Encoded, Encoded, Encoded]:
    return with_masks(encoded(), 0.4), encoded(seed=1), encoded(views=3, seed=2)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("d_equi", [0, 5])
def test_heads_on_masked_tokens_alone_give_the_loss_of_heads_on_all_tokens(shared, d_equi):
    method, (student, teacher, crops) = _method(d_equi, shared_head=shared), _views()
    found = method(student, teacher, crops)
    head, own = method.head.patch, method.teacher.patch
    per_token = cross_entropy(head(student.tokens), centred(own(teacher.tokens), torch.zeros(20 - d_equi), 0.04))
    samples = [per_token[v, b][mask].mean() for v in range(2) for b in range(12) if (mask := student.masks[v, b]).any()]
    assert 2 <= len(samples) < 24  # some are not masked at all: they count as zero
    assert torch.allclose(found["patch"], torch.stack(samples).sum() / 24, atol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
def test_the_class_loss_is_dinos_on_summaries_of_masked_global_views_and_crops(shared):
    method, (student, teacher, crops) = _method(shared_head=shared), _views()
    found = method(student, teacher, crops)
    part = "patch" if shared else "summary"
    head, own = getattr(method.head, part), getattr(method.teacher, part)
    logits = torch.stack([head(view) for view in (*student.summary, *crops.summary)])
    targets = centred(own(teacher.summary), torch.zeros(20), 0.04)
    assert torch.allclose(found["class"], dino_loss(logits, targets), atol=1e-6)


def test_every_head_is_called_once():
    method, views = _method(), _views()
    calls = []
    for head in (method.head.patch, method.teacher.patch):
        head.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    method(*views)
    masked = len(views[0].masked)
    assert calls == [5 * 12 + masked, 2 * 12 + masked]


def test_class_and_masked_patches_have_a_centre_each():
    method, (student, teacher, crops) = _method(), _views()
    method(student, teacher, crops)
    of_class = method.teacher.patch(teacher.summary).mean(dim=(0, 1))
    of_patches = method.teacher.patch(teacher.tokens)[student.masks].mean(dim=0)
    assert torch.allclose(method.targets.centre, 0.1 * of_class, atol=1e-7)
    assert torch.allclose(method.patch_targets.centre, 0.1 * of_patches, atol=1e-7)
    assert not torch.allclose(of_class, of_patches, atol=1e-3)


def test_sinkhorn_is_over_the_class_and_over_the_masked_patches_apart():
    method, (student, teacher, _) = _method(centring="sinkhorn"), _views()
    found = method(student, teacher)
    head, own = method.head.patch, method.teacher.patch
    targets = sinkhorn_knopp(own(teacher.tokens)[student.masks], 0.04)
    logits = head(student.tokens)[student.masks]
    assert torch.allclose(found["patch"], masked_patch_loss(logits, targets, student.weights, 24), atol=1e-6)
    targets = sinkhorn_knopp(own(teacher.summary).flatten(0, 1), 0.04).unflatten(0, (2, 12))
    assert torch.allclose(found["class"], dino_loss(head(student.summary), targets), atol=1e-6)


def test_the_patch_loss_has_a_weight():
    losses = [_method(patch=weight)(*_views()) for weight in (1.0, 0.25)]
    assert torch.allclose(losses[1]["patch"], 0.25 * losses[0]["patch"])
    assert torch.equal(losses[1]["class"], losses[0]["class"])


@pytest.mark.parametrize("masks", ["none", "empty"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("centring", ["ema", "sinkhorn"])
def test_without_masked_tokens_the_patch_loss_is_zero_and_every_parameter_still_has_a_gradient(masks, shared, centring):
    """Or data-parallel training would wait for it."""
    method, (_, teacher, crops) = _method(shared_head=shared, centring=centring), _views()
    student = encoded() if masks == "none" else with_masks(encoded(), 0.0)
    student.tokens.requires_grad_()
    losses = method(student, teacher, crops)
    assert losses["patch"] == 0
    assert losses["class"].isfinite()
    torch.stack(list(losses.values())).sum().backward()
    assert student.tokens.grad.eq(0).all()
    for name, parameter in method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all()
    if centring == "ema":
        assert method.patch_targets.centre.eq(0).all()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize("centring", ["ema", "sinkhorn"])
def test_everything_trains(shared, precise, centring):
    method = _method(shared_head=shared, centring=centring)
    with mixed(not precise):
        assert_trains(method, *_views())


@pytest.mark.parametrize("shared", [True, False])
def test_the_equivariant_outputs_are_the_last_of_the_patch_tokens_head(shared):
    method, tokens = _method(5, shared_head=shared), encoded().tokens
    whole = PrototypeHead(8, 12, 6, 20)
    whole.load_state_dict(method.head.patch.state_dict())
    assert torch.allclose(method.equivariant(tokens), whole(tokens)[..., 15:], atol=1e-6)
    assert method.head(tokens[0], tokens[0, 0])[0].shape == (12, 3, 15)


def test_an_update_moves_both_heads_of_the_teacher():
    method = _method(shared_head=False, momentum=0.9)
    before = [head.last_layer.weight.clone() for head in (method.teacher.patch, method.teacher.summary)]
    for head in (method.head.patch, method.head.summary):
        head.last_layer.weight.data += 1
    method.update(0, 10)
    for head, weight in zip((method.teacher.patch, method.teacher.summary), before):
        assert torch.allclose(head.last_layer.weight, weight + 0.1, atol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("centring", ["ema", "sinkhorn"])
def test_nothing_waits_for_the_device(shared, centring):
    method, views = _method(shared_head=shared, centring=centring), _views()
    with NoWaiting():
        torch.stack(list(method(*views).values())).sum().backward()
        method.update(0, 10)
