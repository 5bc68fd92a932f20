"""MoCo v3's loss agrees with the published algorithm, row by row."""

import math

import pytest
import torch

from equicoherence.methods.mocov3 import contrastive_loss
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
