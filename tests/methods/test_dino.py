"""DINO's loss and centre agree with lightly's; Sinkhorn-Knopp with the published iteration."""

import warnings

import pytest
import torch

from equicoherence.methods.dino import centred, cross_entropy, dino_loss, sinkhorn_knopp, update_centre
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import DINOLoss


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
