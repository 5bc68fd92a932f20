"""iBOT's patch loss agrees with lightly's, value and gradient."""

import warnings

import torch

from equicoherence.methods.dino import centred, cross_entropy
from equicoherence.methods.ibot import masked_patch_loss
from tests.parity import assert_agree, leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import IBOTPatchLoss


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
