"""MoCo v3's loss agrees with the published algorithm, row by row, and the method trains by it."""

import math

import pytest
import torch

from equicoherence.methods.mocov3 import MoCoV3, MoCoV3Config, contrastive_loss
from tests.encoded import assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves


def _slow(query, key, temperature):
    losses = []
    for i, q in enumerate(query):
        similarities = [torch.dot(q, k) / (q.norm() * k.norm()) / temperature for k in key]
        total = sum(torch.exp(s) for s in similarities)
        losses.append(-torch.log(torch.exp(similarities[i]) / total))
    return 2 * temperature * torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_agrees_with_the_formula(temperature):
    query, key = leaves((12, 6), (12, 6))
    assert_agree(contrastive_loss(query, key, temperature), _slow(query, key.detach(), temperature), [query])


def test_keys_have_no_gradient():
    query, key = leaves((12, 6), (12, 6))
    contrastive_loss(query, key, 0.2).backward()
    assert query.grad is not None
    assert key.grad is None


def test_of_images_that_all_look_the_same_it_is_chance():
    same = torch.ones(12, 6)
    assert abs(contrastive_loss(same, same, 0.2) - 2 * 0.2 * math.log(12)) < 1e-6


def _method():
    torch.manual_seed(0)
    return MoCoV3(8, MoCoV3Config(temperature=0.3, width=16, output=6, momentum=0.9))


@pytest.mark.parametrize("half", [False, True])
def test_the_method_contrasts_each_view_with_the_teachers_other_views(half):
    method, student, teacher = _method(), encoded(seed=1), encoded(seed=2)
    next(method.teacher.parameters()).data += 1  # so that it is no longer the projector
    with mixed(half):
        loss = method(student, teacher)["contrastive"]
        queries = [method.predictor(method.projector(view)).float() for view in student.summary]
        keys = [method.teacher(view).float() for view in teacher.summary]
    expected = contrastive_loss(queries[0], keys[1], 0.3) + contrastive_loss(queries[1], keys[0], 0.3)
    assert abs(loss - expected) < 1e-6


def test_the_method_trains_all_it_has_but_its_teacher():
    assert_trains(_method(), encoded(seed=1), encoded(seed=2))


def test_the_teacher_follows_at_a_momentum_that_rises_from_its_base_to_one():
    method = _method()
    assert [method.momentum(step, 8) for step in (0, 4, 8)] == pytest.approx([0.9, 0.95, 1.0])
    assert MoCoV3Config().momentum == 0.99
    teacher, student = (next(part.parameters()) for part in (method.teacher, method.projector))
    before = teacher.clone()
    student.data += 1
    method.update(0, 8)
    assert torch.allclose(teacher, before + 0.1, atol=1e-6)
    method.update(8, 8)
    assert torch.allclose(teacher, before + 0.1, atol=1e-6)
