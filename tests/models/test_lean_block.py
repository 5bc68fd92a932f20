"""Blocks that skip dropped samples, and tokens that nobody reads."""

import copy
from typing import Any

import pytest
import timm
import torch

from equicoherence.models import Encoder
from equicoherence.models.lean_block import add_some, drop_samples
from tests.host import no_waiting

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 4, "num_heads": 2, "num_classes": 0}
UNCLASSED = {key: value for key, value in SMALL.items() if key != "num_classes"}  # the encoder leaves it out itself


def vit(**args) -> Any:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", **{**SMALL, **args})


def pair(rate, uniform=True, **args) -> tuple[Any, Any]:
    """Return a plain model, and one that drops samples with the same weights."""
    plain = vit(**args)
    dropping = copy.deepcopy(plain)
    drop_samples(dropping, rate, uniform=uniform)
    return plain, dropping


@pytest.mark.parametrize("init_values", [None, 0.1])
def test_evaluation_is_that_of_the_plain_model(init_values):
    plain, dropping = pair(0.5, init_values=init_values)
    images = torch.rand(6, 3, 32, 32)
    assert torch.equal(plain.eval()(images), dropping.eval()(images))


def test_rate_zero_is_the_plain_model():
    plain, dropping = pair(0.0)
    images = torch.rand(6, 3, 32, 32)
    assert torch.equal(plain.train()(images), dropping.train()(images))


@pytest.mark.parametrize("init_values", [None, 0.1])
def test_a_branch_is_kept_in_expectation(init_values):
    torch.manual_seed(1)
    _, dropping = pair(0.4, init_values=init_values)
    tokens = torch.randn(8, 5, 24)
    norm, attention, scale = (getattr(dropping.blocks[1], name) for name in ("norm1", "attn", "ls1"))
    with torch.no_grad():
        expected = tokens + scale(attention(norm(tokens)))
        draws = torch.stack([add_some(tokens, tokens, lambda y: scale(attention(norm(y))), 0.4) for _ in range(2000)])
    spread = draws.std(dim=0) / 2000**0.5
    assert bool(((draws.mean(dim=0) - expected).abs() <= 5 * spread + 1e-6).all())
    assert float((draws[0] - expected).abs().max()) > 20 * float(spread.max())  # one draw is not the mean


def test_a_block_keeps_its_output_in_expectation_where_its_branches_do_not_interact():
    torch.manual_seed(1)
    plain, dropping = pair(0.4)
    for block in (plain.blocks[1], dropping.blocks[1]):
        torch.nn.init.zeros_(block.attn.proj.weight)  # the input of the MLP is then the same in every draw
    tokens = torch.randn(8, 5, 24)
    with torch.no_grad():
        expected = plain.blocks[1](tokens)
        draws = torch.stack([dropping.blocks[1](tokens) for _ in range(2000)])
    spread = draws.std(dim=0) / 2000**0.5
    assert bool(((draws.mean(dim=0) - expected).abs() <= 5 * spread + 1e-6).all())


@pytest.mark.parametrize(
    ("uniform", "rows"), [(True, [6, 6, 6, 6]), (False, [10, 9, 7, 6])], ids=["uniform", "rising with depth"]
)
def test_dropped_samples_are_not_computed(uniform, rows):
    _, dropping = pair(0.4, uniform)
    seen = {"attn": [], "mlp": []}
    for block in dropping.blocks:
        for name, rows_there in seen.items():
            getattr(block, name).register_forward_hook(
                lambda _, args, __, rows_there=rows_there: rows_there.append(len(args[0]))
            )
    dropping.train()(torch.rand(10, 3, 32, 32))
    assert seen == {"attn": rows, "mlp": rows}


def test_untouched_samples_stay_and_the_others_are_scaled():
    torch.manual_seed(0)
    x = torch.zeros(10, 3)
    changed = add_some(x, x, torch.ones_like, 0.4)
    assert sorted(changed[:, 0].tolist()) == pytest.approx([0.0] * 4 + [10 / 6] * 6)
    assert not torch.equal(changed, add_some(x, x, torch.ones_like, 0.4))


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_small_batches_keep_at_least_one_sample(batch):
    x = torch.zeros(batch, 3)
    changed = add_some(x, x, torch.ones_like, 0.9)
    assert int((changed[:, 0] > 0).sum()) == 1
    assert float(changed.sum()) == pytest.approx(3 * batch)


def test_state_dict_is_timms():
    plain, dropping = pair(0.3, init_values=1e-5)
    assert list(plain.state_dict()) == list(dropping.state_dict())
    plain.load_state_dict(dropping.state_dict(), strict=True)


def test_every_parameter_gets_a_gradient():
    _, dropping = pair(0.5, init_values=0.1)
    dropping.train()(torch.rand(4, 3, 32, 32)).square().sum().backward()
    assert [name for name, p in dropping.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_gradient_is_that_of_the_kept_samples():
    x = torch.ones(10, 3, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    added = add_some(x, x, lambda y: y**2, 0.4)
    (gradient,) = torch.autograd.grad(added.sum(), x)
    assert torch.allclose(gradient, torch.where(added > 1, 1 + 2 * 10 / 6, 1.0).double())


def test_the_same_seed_drops_the_same_samples():
    _, dropping = pair(0.4)
    images, outputs = torch.rand(6, 3, 32, 32), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        outputs.append(dropping.train()(images))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_a_copy_drops_on_its_own():
    _, dropping = pair(0.4)
    teacher = copy.deepcopy(dropping)
    torch.nn.init.zeros_(teacher.blocks[0].attn.proj.weight)
    assert bool(dropping.blocks[0].attn.proj.weight.any())
    assert teacher.blocks[0].rate == 0.4


def test_half_precision_and_an_encoder_around_it():
    encoder = Encoder("vit_tiny_patch16_224", {k: v for k, v in SMALL.items() if k != "num_classes"}, layers=(1,))
    drop_samples(encoder.model, 0.3)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder.train()(torch.rand(6, 3, 32, 32))
    features.patches.float().sum().backward()
    assert features.tapped[0].shape == (6, 16, 24)
    assert bool(features.patches.isfinite().all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_never_waits():
    _, dropping = pair(0.4)
    images = torch.rand(6, 3, 32, 32, device="cuda")
    dropping.cuda().train()(images)
    with no_waiting():
        dropping(images).sum().backward()


def test_bad_rates_and_other_models_are_quoted():
    with pytest.raises(ValueError, match=r"got 1\.0"):
        drop_samples(vit(), 1.0)
    with pytest.raises(TypeError, match="got ResNet"):
        drop_samples(timm.create_model("resnet18"), 0.3)
    with pytest.raises(TypeError, match="ResPostBlock"):
        drop_samples(vit(block_fn=timm.models.vision_transformer.ResPostBlock), 0.3)
    with pytest.raises(ValueError, match="drop_path_rate=0"):
        drop_samples(vit(drop_path_rate=0.2), 0.3)


@pytest.mark.parametrize("args", [{}, {"init_values": 0.1}, {"reg_tokens": 2}])
def test_the_class_token_alone_is_the_class_token_of_all_with_its_gradient(args):
    torch.manual_seed(0)
    encoder = Encoder("vit_tiny_patch16_224", {**UNCLASSED, **args}).eval()
    images = torch.rand(4, 3, 32, 32)
    whole, alone = encoder(images), encoder(images, class_only=True)
    assert alone.patches.shape == (4, 0, 24)
    assert alone.cls is not None
    assert whole.cls is not None
    assert torch.allclose(alone.cls, whole.cls, atol=1e-6)
    assert torch.equal(encoder(images).patches, whole.patches)  # and the next call gives all tokens again
    weights = encoder.model.blocks[-1].attn.qkv.weight, encoder.model.patch_embed.proj.weight
    expected, found = (torch.autograd.grad(f.cls.square().sum(), weights) for f in (whole, alone))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(expected, found))


def test_the_class_token_alone_can_drop_samples():
    torch.manual_seed(0)
    encoder = Encoder("vit_tiny_patch16_224", UNCLASSED)
    drop_samples(encoder.model, 0.5)
    assert encoder.train()(torch.rand(4, 3, 32, 32), class_only=True).patches.shape == (4, 0, 24)


def test_an_encoder_without_lean_blocks_gives_the_class_token_too():
    torch.manual_seed(0)
    encoder = Encoder(
        "vit_tiny_patch16_224", {**UNCLASSED, "block_fn": timm.models.vision_transformer.ResPostBlock}
    ).eval()
    images = torch.rand(4, 3, 32, 32)
    whole, alone = encoder(images), encoder(images, class_only=True)
    assert torch.equal(alone.cls, whole.cls)
    assert alone.patches.shape == (4, 0, 24)


def test_only_an_encoder_with_a_class_token_gives_it_alone():
    encoder = Encoder("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]})
    with pytest.raises(ValueError, match="resnet18 has no class token"):
        encoder(torch.rand(1, 3, 32, 32), class_only=True)
