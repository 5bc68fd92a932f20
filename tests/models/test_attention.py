"""Attention on a CPU: the same function and gradients, fused or not; not fused where torch's fused kernel is slow."""

import copy
from typing import Any

import pytest
import timm
import torch
from timm.layers import Attention
from torch import Tensor, nn

from equicoherence.models import attention
from equicoherence.models.attention import attend, unfuse, unfuse_where_slow

BF16: dict[str, Any] = {"device_type": "cpu", "dtype": torch.bfloat16}


def _choices(model: nn.Module) -> set[bool]:
    return {module.fused_attn for module in model.modules() if isinstance(module, Attention)}


def _small_vit() -> nn.Module:
    torch.manual_seed(0)
    args: dict[str, Any] = {
        "img_size": 32,
        "patch_size": 8,
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
        "num_classes": 0,
    }
    return timm.create_model("vit_tiny_patch16_224", **args)


def _images() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


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


def test_a_transformer_is_not_fused_where_it_is_trained_in_half_precision_and_fused_elsewhere():
    model = _small_vit()
    names = set(model.state_dict())
    for _ in range(2):
        unfuse_where_slow(model)
    assert set(model.state_dict()) == names
    assert len(model.blocks[0].attn._forward_pre_hooks) == 1
    with torch.autocast(**BF16):
        model(_images())
        assert _choices(model) == {False}
        with torch.no_grad():
            model(_images())
    assert _choices(model) == {True}
    copied = copy.deepcopy(model).to(torch.bfloat16)
    copied(_images().bfloat16())
    assert _choices(copied) == {False}
    model(_images())
    assert _choices(model) == {True}


def test_blocks_that_are_not_trained_stay_fused():
    model = _small_vit().requires_grad_(False)
    model.blocks[1].requires_grad_(True)
    unfuse_where_slow(model)
    with torch.autocast(**BF16):
        model(_images())
    assert [block.attn.fused_attn for block in model.blocks] == [True, False]


def test_attention_that_timm_does_not_fuse_stays_so():
    model = timm.create_model("swin_tiny_patch4_window7_224", depths=(1,), img_size=56, num_classes=0)
    timm.layers.set_fused_attn(False)
    try:
        plain = _small_vit()
    finally:
        timm.layers.set_fused_attn(True)
    for each, images in ((model, torch.randn(1, 3, 56, 56)), (plain, _images())):
        before = {module.fused_attn for module in each.modules() if hasattr(module, "fused_attn")}
        unfuse_where_slow(each)
        each(images)
        assert {module.fused_attn for module in each.modules() if hasattr(module, "fused_attn")} == before == {False}


def test_checkpointed_blocks_have_the_gradients_of_others():
    model = _small_vit()
    unfuse_where_slow(model)
    found = []
    for checkpointed in (False, True):
        model.set_grad_checkpointing(checkpointed)
        with torch.autocast(**BF16):
            found.append(_trained(model, _images()))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_transformer_that_is_never_fused():
    model = _small_vit()
    expected = model(_images())
    unfuse(model)
    assert _choices(model) == {False}
    assert torch.allclose(model(_images()), expected, atol=1e-5)


def test_many_tokens_stay_fused(monkeypatch: pytest.MonkeyPatch):
    model = _small_vit()
    unfuse_where_slow(model)
    monkeypatch.setattr(attention, "FEW", 16)  # the transformer has 17
    with torch.autocast(**BF16):
        model(_images())
    assert _choices(model) == {True}


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("vit_tiny_patch16_224", {"depth": 1, "img_size": 64}),
        ("vit_tiny_r_s16_p8_224", {"depth": 1, "img_size": 64}),
        ("eva02_tiny_patch14_224", {"depth": 1, "img_size": 56}),
    ],
)
def test_training_in_bfloat16_is_as_exact_as_with_fused_attention(name, args):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0, **args)
    images = torch.randn(2, 3, args["img_size"], args["img_size"], generator=torch.Generator().manual_seed(1))
    exact = _trained(model, images)
    with torch.autocast(**BF16):
        fused = _trained(model, images)
        unfuse_where_slow(model)
        plain = _trained(model, images)
    assert any(not torch.equal(one, other) for one, other in zip(fused, plain, strict=True))
    for true, one, other in zip(exact, fused, plain, strict=True):
        assert (other - true).norm() <= 1.5 * (one - true).norm() + 1e-5


def _trained(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the output and the gradients of all parameters."""
    model.zero_grad()
    found = model(images).float()
    found.square().mean().backward()
    return [found.detach(), *(each.grad.clone() for each in model.parameters() if each.grad is not None)]
