"""Attention in plain products: the same function as torch's, in bfloat16 and of many tokens."""

from contextlib import nullcontext

import pytest
import timm
import torch
from torch.utils.checkpoint import checkpoint

from equicoherence.models import attention
from equicoherence.models.attention import attend, plain_attention


def test_attention_in_bfloat16_is_that_in_float32_as_far_as_its_digits_go():
    inputs = torch.randn(3, 2, 4, 32, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    results = []
    for kind in (torch.float32, torch.bfloat16):
        found = attend(*inputs.to(kind).unbind())
        assert found.dtype == kind
        results.append((found.float(), *torch.autograd.grad(found.float().square().sum(), inputs)))
    for exact, rounded in zip(*results):
        assert (exact - rounded).abs().max() < 0.02 * exact.abs().max()


def test_attention_to_many_tokens_is_that_to_few(monkeypatch: pytest.MonkeyPatch):
    query, key, value = torch.randn(3, 2, 4, 32, 8, generator=torch.Generator().manual_seed(0)).unbind()
    few = attend(query, key, value)
    monkeypatch.setattr(attention, "FEW", 16)
    assert torch.allclose(attend(query, key, value), few, atol=1e-6)


def test_gradients_in_bfloat16_are_right_where_values_are_nearly_alike():
    generator = torch.Generator().manual_seed(0)
    query, key, value, gradient = (torch.randn(8, 4, 16, 32, generator=generator) for _ in range(4))
    common = torch.randn(8, 4, 1, 32, generator=generator)
    query, key, value = 0.1 * query, 0.1 * key + common, 0.02 * value + common
    found = []
    for kind in (torch.float64, torch.bfloat16):
        inputs = [each.to(kind).requires_grad_() for each in (query, key, value)]
        found.append(torch.autograd.grad(attend(*inputs), inputs, gradient.to(kind)))
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).norm() < 0.25 * exact.norm()  # with weights in bfloat16, .9 for queries


def test_models_compute_attention_of_queries_keys_and_values_alone_by_attend(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(attention, "attend", lambda *given: seen.append(len(given)) or attend(*given))
    query, key, value = torch.randn(3, 2, 4, 32, 8, generator=torch.Generator().manual_seed(0)).unbind()
    mask = torch.ones(32, 32, dtype=torch.bool).tril()
    asked = ({}, {"dropout_p": 0.0}, {"attn_mask": mask}, {"is_causal": True}, {"scale": 0.5}, {"dropout_p": 0.5})
    expected = [torch.nn.functional.scaled_dot_product_attention(query, key, value, **each) for each in asked[:-1]]
    with plain_attention():
        found = [torch.nn.functional.scaled_dot_product_attention(query, key, value, **each) for each in asked]
    assert seen == [3, 3]
    for ours, torchs in zip(found, expected, strict=False):
        assert torch.allclose(ours, torchs, atol=1e-6)


def test_a_vision_transformer_learns_the_same_in_plain_products():
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=0)
    images = torch.rand(2, 3, 32, 32)
    found = []
    for attention_of in (nullcontext, plain_attention):
        with attention_of():
            model(images)[:, :64].square().sum().backward()  # of all, a norm leaves the sum alone
        found.append([parameter.grad.clone() for parameter in model.parameters()])
        model.zero_grad()
    for ours, torchs in zip(*found, strict=True):
        assert (ours - torchs).norm() < 1e-5 * torchs.norm()


def test_layers_that_are_computed_once_more_in_the_backward_are_computed_alike():
    query = torch.randn(2, 4, 32, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with plain_attention():
        of = lambda x: torch.nn.functional.scaled_dot_product_attention(x, x, x)  # noqa: E731
        checkpoint(of, query, use_reentrant=False).square().sum().backward()
        found, query.grad = query.grad, None
        of(query).square().sum().backward()
    assert torch.equal(found, query.grad)
