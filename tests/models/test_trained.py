"""What of an encoder is trained, and what stands still."""

from __future__ import annotations

import copy
import importlib.util
import sys

import pytest
import torch

from equicoherence.methods.teacher import frozen_copy, teacher_mode
from equicoherence.models import Encoder
from equicoherence.models.lean_block import drop_samples
from equicoherence.models.train_setting import read_train
from equicoherence.models.trained import moving_statistics, train_parts, trained_parameters
from equicoherence.models.trained_layers import BEFORE, parameter_layers
from equicoherence.models.trained_lora import merge_lora

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
RESNET = {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16]}


def vit(**options):
    torch.manual_seed(0)
    return Encoder("vit_tiny_patch16_224", VIT, **options)


def resnet():
    torch.manual_seed(0)
    return Encoder("resnet18", RESNET)


def images(count=4, size=32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def trained(module):
    return {name for name, p in module.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "text", ["last:0", "last:", "last", "last:-1", "last:1.5", "lora:0", "lora:x", "lora", "al", ""]
)
def test_other_words_and_numbers_are_refused(text):
    with pytest.raises(ValueError, match=rf"encoder\.train is '{text}': give all, .*last:N .*lora:RANK"):
        read_train(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "resnet18",
            {0: {"conv1", "bn1"}, 1: {"layer1"}, 2: {"layer2"}, 3: {"layer3"}, 4: {"layer4"}},
        ),
        (
            "vit_tiny_patch16_224",
            {
                BEFORE: {"cls_token", "reg_token", "pos_embed", "patch_embed"},
                0: {"blocks.0"},
                1: {"blocks.1"},
                2: {"norm"},
            },
        ),
    ],
)
def test_each_parameter_belongs_to_the_layer_that_timm_says_it_is_of(name, expected):
    encoder = Encoder(name, {"depth": 2, "reg_tokens": 1} if "vit" in name else {})
    found = {}
    for parameter, layer in parameter_layers(encoder).items():
        parts = parameter.split(".")
        found.setdefault(layer, set()).add(".".join(parts[:2]) if parts[0] == "blocks" else parts[0])
    assert found == expected


def test_the_last_blocks_of_a_vision_transformer_are_trained_and_no_gradient_goes_below():
    encoder = vit(masked=True)
    train_parts(encoder, "last:1")
    last = {f"model.{name}" for name, _ in encoder.model.named_parameters() if name.startswith(("blocks.2.", "norm."))}
    assert trained(encoder) == last
    assert trained_parameters(encoder) == sum(encoder.get_parameter(name).numel() for name in last)
    seen = []
    for block in encoder.model.blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    encoder(images(), torch.ones(4, 16, dtype=torch.bool))
    assert seen == [False, False, True]


def test_the_last_stages_of_a_convolutional_network_are_trained_and_the_others_keep_their_statistics():
    encoder = resnet()
    before = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
    train_parts(encoder, "last:2")
    assert {name.split(".")[1] for name in trained(encoder)} == {"layer3", "layer4"}
    encoder.eval()
    encoder.train()
    encoder(images()).patches.square().sum().backward()
    for name, tensor in encoder.model.state_dict().items():
        moved = name.startswith(("layer3", "layer4")) and name.endswith(("_mean", "_var", "_tracked"))
        assert torch.equal(tensor, before[name]) != moved, name
    reached = {name.split(".")[1] for name, p in encoder.named_parameters() if p.grad is not None}
    assert reached == {"layer3", "layer4"}


@pytest.mark.parametrize(("batch_norm", "moves"), [("train", True), ("frozen", False)])
def test_statistics_move_unless_they_are_frozen_also_those_of_a_teacher(batch_norm, moves):
    encoder = resnet()
    train_parts(encoder, "all", batch_norm)
    assert moving_statistics(encoder) == moves
    assert trained_parameters(encoder) == sum(p.numel() for p in encoder.parameters())
    teacher = frozen_copy(encoder)
    teacher_mode(teacher, True)
    for each in (encoder, teacher):
        each(images())
        assert torch.equal(each.model.bn1.running_mean, torch.zeros(64)) != moves


def test_blocks_that_are_not_trained_drop_no_samples():
    encoder = vit()
    drop_samples(encoder.model, 0.5)
    train_parts(encoder, "last:1")
    below = []
    encoder.model.blocks[1].register_forward_hook(lambda module, inputs, output: below.append(output))
    outputs = [encoder(images()).patches for _ in range(2)]
    assert torch.equal(*below)
    assert not torch.equal(*outputs)


@pytest.mark.parametrize(("train", "linear"), [("lora:2", 2), ("lora-all:2", 4)])
def test_lora_begins_as_the_encoder_and_is_merged_into_its_weights(train, linear):
    encoder, plain = vit(masked=True).eval(), vit(masked=True).eval()
    before = {name: tensor.clone() for name, tensor in plain.model.state_dict().items()}
    train_parts(encoder, train)
    assert trained(encoder) == {"mask_token"} | {name for name, _ in encoder.named_parameters() if ".lora_" in name}
    assert len(trained(encoder)) == 1 + 3 * linear * 2
    assert torch.equal(encoder(images()).patches, plain(images()).patches)
    factors = {}
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if ".lora_" in name:
                p.normal_(generator=torch.Generator().manual_seed(len(factors)))
                layer, _, factor = name.removeprefix("model.").partition(".lora_")
                factors.setdefault(layer, {})[factor[0]] = p.clone()
        unmerged = encoder(images()).patches
        merge_lora(encoder)
        merged = encoder(images()).patches
    assert torch.allclose(merged, unmerged, atol=1e-4)
    assert not torch.allclose(merged, plain(images()).patches, atol=1e-2)
    after = encoder.model.state_dict()
    assert after.keys() == before.keys()
    assert len(factors) == 3 * linear
    for name, tensor in after.items():
        f = factors.get(name.removesuffix(".weight"))
        expected = before[name] if f is None else before[name] + f["B"] @ f["A"]
        assert torch.allclose(tensor, expected, atol=1e-5), name
    assert [type(m) for m in encoder.modules()] == [type(m) for m in plain.modules()]
    assert "peft_config" not in vars(encoder.model)
    encoder.train()  # the parts that stand still are still found


def test_lora_leaves_the_dropping_of_samples_and_the_last_block_as_they_are():
    encoder = vit()
    drop_samples(encoder.model, 0.5)
    train_parts(encoder, "lora:2")
    assert not torch.equal(encoder(images()).patches, encoder(images()).patches)
    encoder.eval()
    assert torch.allclose(encoder(images(), class_only=True).cls, encoder(images()).cls, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "args", "train", "sentence"),
    [
        ("resnet18", RESNET, "last:99", "resnet18 has 5 layers: give last:1 to last:5"),
        ("resnet18", RESNET, "lora:4", "LoRA is put on linear layers of attention, and the layers of resnet18 have"),
        ("resnet18", RESNET, "lora-all:4", "LoRA is put on linear layers of attention or MLPs"),
        (
            "beit_base_patch16_224",  # calls no module of its queries, keys and values
            VIT | {"depth": 1},
            "lora:4",
            "LoRA would do nothing in beit_base_patch16_224, which reads the weights of blocks.0.attn.qkv",
        ),
    ],
)
def test_what_an_encoder_does_not_have_is_refused(name, args, train, sentence):
    with pytest.raises(ValueError, match=rf"encoder\.train is {train}, but {sentence}"):
        train_parts(Encoder(name, args), train)


def test_lora_without_peft_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else find(name))
    with pytest.raises(ValueError, match=r"pip install 'equicoherence\[adapt\]'"):
        train_parts(vit(), "lora:2")


def test_layers_that_timm_does_not_tell_are_refused():
    encoder = vit()
    encoder.model.feature_info = []
    with pytest.raises(ValueError, match=r"encoder\.train is last:1, but .* gives its last features alone"):
        train_parts(encoder, "last:1")


@pytest.mark.parametrize("name", ["vit", "resnet", "lora"])
def test_gradients_are_the_same_to_the_bit_with_checkpointing(name):
    encoder = resnet() if name == "resnet" else vit()
    if name != "resnet":
        drop_samples(encoder.model, 0.3)
    train_parts(encoder, "lora:2" if name == "lora" else "all", "frozen")
    other = copy.deepcopy(encoder)
    other.checkpoint()
    with torch.no_grad():
        other(images())  # which looks whether the size fits
    calls = []
    part = other.model.layer4[0].conv1 if name == "resnet" else other.model.blocks[1].mlp
    part.register_forward_hook(lambda module, inputs, output: calls.append(1))
    gradients = []
    for each in (encoder, other):
        torch.manual_seed(2)
        each(images()).patches.square().sum().backward()
        gradients.append([p.grad for p in each.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) for a, b in zip(*gradients))
    assert len(calls) == 2


def test_a_class_token_alone_has_the_same_gradients_with_checkpointing():
    encoder = vit()
    other = copy.deepcopy(encoder)
    other.checkpoint()
    for each in (encoder, other):
        each(images(), class_only=True).cls.square().sum().backward()
    for a, b in zip(encoder.parameters(), other.parameters()):
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-4)


def test_checkpointing_that_timm_does_not_have_is_refused():
    encoder = Encoder("dla34")
    with pytest.raises(ValueError, match="timm has no gradient checkpointing for dla34"):
        encoder.checkpoint()
