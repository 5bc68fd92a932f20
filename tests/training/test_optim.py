"""Rates, decays and groups of parameters are the published ones."""

import math

import pytest
import torch
from torch import nn

from equicoherence.models import Encoder
from equicoherence.models.trained import train_parts, trained_parameters
from equicoherence.training import OptimConfig
from equicoherence.training.optim import build_optimizer, learning_rate, rate_scales, set_schedules, weight_decay


class _Model(nn.Module):
    """An encoder of three blocks and a head with a last layer, named as in a learner."""

    def __init__(self, encoder: str = "vit_tiny_patch16_224") -> None:
        super().__init__()
        args = {"img_size": 32, "depth": 3, "reg_tokens": 1} if "vit" in encoder else {}
        self.encoder = Encoder(encoder, args, masked="vit" in encoder)
        self.method = nn.ModuleDict({"first": nn.Linear(4, 4), "last_layer": nn.Linear(4, 8)})


def _options(model: nn.Module, config: OptimConfig) -> dict[str, dict]:
    """Return the group of each parameter by name."""
    names = {id(p): name for name, p in model.named_parameters()}
    groups = build_optimizer(model, config).param_groups
    return {names[id(p)]: group for group in groups for p in group["params"]}


def test_every_trained_parameter_is_in_one_group():
    model = _Model()
    model.method["first"].requires_grad_(False)
    config = OptimConfig(layer_decay=0.9, patch_embed_lr=0.2, freeze_last_layer=1)
    found = [id(p) for group in build_optimizer(model, config).param_groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_biases_norms_tokens_and_positions_do_not_decay():
    options = _options(_Model(), OptimConfig())
    free = {name for name, group in options.items() if not group["decays"]}
    prefix = "encoder.model."
    assert {"encoder.mask_token", prefix + "cls_token", prefix + "reg_token", prefix + "pos_embed"} <= free
    assert {name for name in options if name.endswith(".bias") or ".norm" in name} <= free
    assert not {prefix + "patch_embed.proj.weight", prefix + "blocks.0.attn.qkv.weight"} & free


def test_layer_decay_is_that_of_beit_and_dinov2():
    """Embeddings are layer 0, block i is layer i + 1, all else is layer depth + 1."""
    scales = rate_scales(_Model(), OptimConfig(layer_decay=0.9, patch_embed_lr=0.2))
    expected = {
        "encoder.model.patch_embed.proj.weight": 0.2 * 0.9**4,
        "encoder.model.pos_embed": 0.9**4,
        "encoder.model.cls_token": 0.9**4,
        "encoder.mask_token": 0.9**4,
        "encoder.model.blocks.0.attn.qkv.weight": 0.9**3,
        "encoder.model.blocks.2.mlp.fc1.bias": 0.9,
        "encoder.model.norm.weight": 1.0,
        "method.first.weight": 1.0,
    }
    assert {name: scales[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        ("resnet18", {"conv1.weight": 5, "bn1.bias": 5, "layer1.0.conv1.weight": 4, "layer4.1.bn2.weight": 1}),
        (
            "tf_efficientnet_lite0",
            {
                "conv_stem.weight": 6,
                "blocks.0.0.conv_dw.weight": 5,
                "blocks.2.0.conv_pw.weight": 3,
                "blocks.3.0.conv_pw.weight": 2,
                "blocks.4.0.conv_pw.weight": 2,
                "blocks.6.0.bn1.weight": 1,
                "conv_head.weight": 0,
            },
        ),
    ],
)
def test_layer_decay_knows_the_stages_of_convolutional_networks(encoder, expected):
    scales = rate_scales(_Model(encoder), OptimConfig(layer_decay=0.5))
    powers = {name: scales[f"encoder.model.{name}"] for name in expected}
    assert powers == {name: 0.5**power for name, power in expected.items()}
    assert scales["method.first.weight"] == 1


def test_what_stands_still_is_in_no_group_and_the_others_keep_their_rates():
    model = _Model()
    rates = rate_scales(model, OptimConfig(layer_decay=0.5))
    train_parts(model.encoder, "last:1")
    groups = build_optimizer(model, OptimConfig(layer_decay=0.5)).param_groups
    assert sum(p.numel() for group in groups for p in group["params"]) == trained_parameters(model)
    for name, scale in rate_scales(model, OptimConfig(layer_decay=0.5)).items():
        assert scale == rates[name]


@pytest.mark.parametrize(
    ("encoder", "config", "quoted"),
    [
        (None, OptimConfig(layer_decay=0.9), r"layer_decay is 0\.9"),
        ("resnet18", OptimConfig(patch_embed_lr=0.2), r"patch_embed_lr is 0\.2"),
        (None, OptimConfig(freeze_last_layer=1), "freeze_last_layer is 1"),
    ],
)
def test_settings_that_find_nothing_to_act_on_are_refused(encoder, config, quoted):
    model = _Model(encoder) if encoder else nn.Linear(2, 2)
    with pytest.raises(ValueError, match=quoted):
        build_optimizer(model, config)


@pytest.mark.parametrize("step", [0, 1, 30, 99])
def test_weight_decay_rises_as_in_dino(step):
    config = OptimConfig(weight_decay=0.04, weight_decay_end=0.4)
    expected = 0.4 + 0.5 * (0.04 - 0.4) * (1 + math.cos(math.pi * step / 100))
    assert weight_decay(config, step, 100) == pytest.approx(expected)
    assert weight_decay(OptimConfig(weight_decay=0.04), step, 100) == 0.04


def test_the_rate_warms_up_to_its_peak_and_falls_to_zero_as_a_cosine():
    config = OptimConfig(batch_size=512, lr=1e-3, warmup=0.1)
    rates = [learning_rate(config, step, 100, world=2) for step in range(101)]
    assert rates[9] == pytest.approx(4e-3)  # 1e-3 * 1024 / 256
    assert rates[0] == pytest.approx(4e-4)
    assert rates[55] == pytest.approx(2e-3)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert max(rates) == rates[9]


def test_the_rate_is_linear_in_the_batch_or_in_its_root():
    linear, root = (OptimConfig(lr=4e-3, batch_size=512, warmup=0.0, lr_scaling=s) for s in ("linear", "sqrt"))
    assert learning_rate(linear, 0, 100, world=4) == pytest.approx(4e-3 * 2048 / 256)
    assert learning_rate(root, 0, 100, world=4) == pytest.approx(4e-3 * math.sqrt(2048 / 1024))


def test_every_group_has_its_rate_and_its_decay_at_each_step():
    model = _Model()
    config = OptimConfig(lr=1e-3, warmup=0.1, layer_decay=0.5, weight_decay=0.1, weight_decay_end=0.2)
    optimizer = build_optimizer(model, config)
    lr = set_schedules(optimizer, config, 50, 100, 10)
    assert lr == learning_rate(config, 50, 100)
    for group in optimizer.param_groups:
        assert group["lr"] == lr * group["scale"]
        assert group["weight_decay"] == (weight_decay(config, 50, 100) if group["decays"] else 0)


def test_a_frozen_last_layer_keeps_its_bits_and_then_moves():
    torch.manual_seed(0)
    model = _Model()
    config = OptimConfig(freeze_last_layer=2, lr=1e-2, warmup=0.0)
    optimizer = build_optimizer(model, config)
    for step, moves in ((0, False), (19, False), (20, True)):  # of 10 steps an epoch
        before = {name: p.detach().clone() for name, p in model.method.named_parameters()}
        set_schedules(optimizer, config, step, 100, 10)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
        for name, p in model.method.named_parameters():
            assert torch.equal(p, before[name]) == (name.startswith("last_layer") and not moves)
