"""Teachers follow their students at the published pace."""

import copy
import math

import pytest
import timm
import torch
from torch import nn

from equicoherence.methods import Encoded
from equicoherence.methods.byol import BYOL, BYOLConfig
from equicoherence.methods.teacher import cosine_momentum, ema_update, frozen_copy, teacher_mode


def _student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


@pytest.mark.parametrize("step", [0, 1, 500, 999, 1000])
def test_momentum_is_that_of_byol_and_dino(step):
    byol = 1 - (1 - 0.996) * (math.cos(math.pi * step / 1000) + 1) / 2
    dino = 1 + 0.5 * (0.996 - 1) * (1 + math.cos(math.pi * step / 1000))
    assert cosine_momentum(0.996, step, 1000) == pytest.approx(byol, abs=1e-12) == pytest.approx(dino, abs=1e-12)


def test_momentum_begins_at_its_base_and_ends_at_one():
    assert [cosine_momentum(0.99, step, 8) for step in (0, 4, 8)] == pytest.approx([0.99, 0.995, 1.0])


def test_an_update_mixes_parameters_and_copies_buffers():
    student = _student()
    teacher = frozen_copy(student)
    student[0].weight.data += 1
    student[1].running_mean += 2
    student[1].num_batches_tracked += 3
    before = copy.deepcopy(teacher)
    ema_update(teacher, student, 0.9)
    assert torch.allclose(teacher[0].weight, 0.9 * before[0].weight + 0.1 * student[0].weight)
    assert torch.equal(teacher[0].bias, before[0].bias)
    assert torch.equal(teacher[1].running_mean, student[1].running_mean)
    assert teacher[1].num_batches_tracked == 3


def test_a_frozen_copy_shares_nothing_and_learns_nothing():
    student = _student()
    teacher = frozen_copy(student)
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())
    student[0].weight.data += 1
    assert not torch.equal(student[0].weight, teacher[0].weight)


def test_a_teacher_drops_nothing_and_normalises_by_the_batch():
    teacher = frozen_copy(_student())
    x = torch.randn(64, 3) + 5
    teacher_mode(teacher, True)
    y = teacher(x)
    assert torch.equal(y, teacher(x))
    assert y.mean(dim=0).abs().max() < 1e-5
    teacher_mode(teacher, False)
    assert not teacher[1].training


def test_a_teacher_skips_no_path():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, drop_path_rate=0.9, num_classes=0)
    teacher_mode(model, True)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(x), model(x))


def test_byol_predicts_the_teacher_of_the_other_view():
    torch.manual_seed(0)
    method = BYOL(8, BYOLConfig(width=16, output=6)).eval()
    student, teacher = (Encoded(tokens.mean(dim=2), tokens) for tokens in torch.randn(2, 2, 12, 4, 8))
    a, b = (torch.nn.functional.normalize(method.predictor(method.projector(v)), dim=1) for v in student.summary)
    x, y = (torch.nn.functional.normalize(method.teacher(v), dim=1) for v in teacher.summary)
    expected = (a - y).square().sum(dim=1).mean() + (b - x).square().sum(dim=1).mean()
    assert abs(method(student, teacher)["regression"] - expected) < 1e-5


def test_byol_moves_its_projector_teacher_and_no_gradient_does():
    torch.manual_seed(0)
    method = BYOL(8, BYOLConfig(width=16, output=6, momentum=0.9))
    student, teacher = (Encoded(tokens.mean(dim=2), tokens) for tokens in torch.randn(2, 2, 12, 4, 8))
    method(student, teacher)["regression"].backward()
    assert all((p.grad is None) == name.startswith("teacher.") for name, p in method.named_parameters())
    method.projector[0].weight.data += 1
    before = method.teacher[0].weight.clone()
    method.update(0, 10)
    assert torch.allclose(method.teacher[0].weight, before + 0.1, atol=1e-6)
    method.update(10, 10)  # at the end the teacher stands still
    assert torch.allclose(method.teacher[0].weight, before + 0.1, atol=1e-6)
