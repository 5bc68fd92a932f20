"""A run that trains a part of an encoder: resumed to the bit, and what comes out is a plain model of timm."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil

import numpy as np
import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import distributed

from equicoherence.cli import main
from equicoherence.errors import RefusedValue
from equicoherence.evaluation import load_model
from equicoherence.evaluation.frozen_model import random_control
from equicoherence.methods.dino import DINOConfig
from equicoherence.training import EncoderConfig, ViewsConfig, build_learner, build_views, load_run, pretrain
from equicoherence.training.checkpoint import load_checkpoint
from equicoherence.training.sharding import shard, whole
from tests.small import ENCODER, picture_folder, small_config

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
KINDS = {
    "last:2": ("resnet18", ENCODER.args, {}),
    "lora:2": (  # with a teacher
        "vit_tiny_patch16_224",
        VIT,
        {"method": DINOConfig(prototypes=20, hidden=12, bottleneck=6), "coherence": None},
    ),
}
ARGS = {name: args for name, args, _ in KINDS.values()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """Return a file with weights of each architecture."""
    folder = tmp_path_factory.mktemp("weights")
    for name, args, _ in KINDS.values():
        torch.manual_seed(3)
        model = timm.create_model(name, num_classes=0, **args)
        save_file(model.state_dict(), folder / f"{name}.safetensors")
    return folder


def starting(data, starts, train, name=None, **encoder):
    architecture, args, changes = KINDS.get(train) or (name, ARGS[name], {})
    given = {"weights": str(starts / f"{architecture}.safetensors"), "train": train, **encoder}
    return small_config(data, encoder=EncoderConfig(architecture, args, **given), **changes)


@pytest.mark.parametrize("train", list(KINDS))
def test_a_run_is_resumed_to_the_bit_and_ends_as_a_plain_model(train, data, starts, tmp_path):
    config = starting(data, starts, train)
    whole, stopped = pretrain(config, tmp_path / "whole"), tmp_path / "stopped"
    (stopped / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "metrics.jsonl", "checkpoints/step-00000004.pt"):
        shutil.copy(whole / name, stopped / name)
    held = load_checkpoint(stopped / "checkpoints/step-00000004.pt")["learner"]
    assert any(".lora_A." in name for name in held) == (train == "lora:2")
    unfinished = load_run(stopped)[1]
    pretrain(config, stopped, resume=True)
    for name in ("model.safetensors", "heads.safetensors"):
        left, right = load_file(whole / name), load_file(stopped / name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)

    finished = load_run(whole)[1]
    plain = timm.create_model(f"local-dir:{whole}", pretrained=True).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = finished.encoder(images).pooled(finished.pool)
        found = plain((images - finished.encoder.mean) / finished.encoder.std)
        assert torch.allclose(found, wanted, atol=1e-6)
        other = unfinished.encoder(images).pooled(finished.pool)
    assert unfinished.state_dict().keys() == finished.state_dict().keys()
    assert not torch.allclose(other, wanted, atol=1e-5)  # two steps before

    start, end = load_file(config.encoder.weights), load_file(whole / "model.safetensors")
    assert start.keys() == end.keys()
    moved = {name for name in end if not torch.equal(start[name], end[name])}
    if train == "last:2":
        assert moved == {name for name in end if name.startswith(("layer3.", "layer4."))}
    else:
        assert moved == {f"blocks.{n}.attn.{part}.weight" for n in (0, 1) for part in ("qkv", "proj")}
        teacher = finished.teacher[0].model.state_dict()
        followed = {name for name in end if not torch.equal(teacher[name], start[name])}
        assert followed == moved
        assert not any(torch.equal(teacher[name], end[name]) for name in moved)
    control = random_control(load_model(whole)).encoder
    assert control.model.state_dict().keys() == end.keys()


def test_a_run_says_how_much_it_trains_and_another_train_does_not_resume_it(data, starts, tmp_path, capsys):
    config = dataclasses.replace(starting(data, starts, "last:1", "resnet18"), max_steps=2)
    run = pretrain(config, tmp_path / "run")
    model = timm.create_model("resnet18", num_classes=0, **ENCODER.args)
    trained = sum(p.numel() for p in model.layer4.parameters()) / 1e6
    assert f"million parameters (last:1 trained: {trained:.3g} million)" in capsys.readouterr().err
    assert yaml.safe_load((run / "config.yaml").read_text())["encoder"]["train"] == "last:1"
    other = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, train="last:2"))
    with pytest.raises(RefusedValue, match=r"encoder\.train: 'last:1' -> 'last:2'"):
        pretrain(other, run, resume=True)


@pytest.mark.parametrize(
    ("train", "encoder", "sentence"),
    [
        ("last:99", {}, "encoder.train is last:99, but resnet18 has 5 layers: give last:1 to last:5"),
        ("lora:4", {}, "encoder.train is lora:4, but LoRA is put on linear layers of attention, and the layers of"),
        (
            "last:1",
            {"weights": ""},
            "encoder.train is last:1, but the encoder starts from random weights, and what is not trained would stay",
        ),
        (
            "last:1",
            {"checkpointing": True},
            "encoder.checkpointing computes layers twice, so that the statistics of BatchNorm layers would move twice",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(train, encoder, sentence, data, starts, tmp_path):
    with pytest.raises(RefusedValue) as refused:
        pretrain(starting(data, starts, train, "resnet18", **encoder), tmp_path / "run")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("train", ["last:0", "lora:x", "heads"])
def test_the_command_refuses_other_words(train, data, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["pretrain", "vicreg-tiny", "--data", str(data), "--out", str(out), "--encoder.train", train]) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert f"encoder.train is '{train}': give all" in said
    assert not out.exists()


def test_checkpointing_that_timm_does_not_have_is_refused(data, tmp_path):
    config = small_config(data, encoder=EncoderConfig("dla34", checkpointing=True, batch_norm="frozen"))
    with pytest.raises(RefusedValue, match=r"encoder\.checkpointing is on, but timm has no .* dla34; give --encoder"):
        pretrain(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_with_checkpointing_ends_with_the_same_bits(data, starts, tmp_path):
    ends = []
    for checkpointing in (False, True):
        config = starting(data, starts, "last:1", "vit_tiny_patch16_224", checkpointing=checkpointing)
        config = dataclasses.replace(config, max_steps=2, precision="bf16")
        run = pretrain(config, tmp_path / str(checkpointing))
        ends.append(load_file(run / "model.safetensors"))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_patches_of_14_pixels_are_decoded_by_convolutions_at_the_size_of_the_views(data, tmp_path):
    encoder = EncoderConfig(KINDS["lora:2"][0], VIT | {"img_size": 98, "patch_size": 14})
    views = ViewsConfig(size=98, source=98)  # 7 x 7 tokens: no power of two
    run = pretrain(small_config(data, encoder=encoder, views=views, max_steps=2, log_every=1), tmp_path / "run")
    losses = [json.loads(line).get("reconstruction") for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 2
    assert losses[0] != losses[1]
    assert 0 < min(losses) <= max(losses) < 10
    with np.load(run / "samples.npz") as samples:
        assert samples["decoded"].shape == samples["targets"].shape
        assert samples["decoded"].shape[-3:] == (98, 98, 3)
        assert samples["decoded"].std() > 0


def test_lora_is_divided_among_processes_as_the_rest_is(data, starts):
    config = starting(data, starts, "lora:2")
    torch.manual_seed(0)
    learner = build_learner(config, pretrained=False)
    divided = copy.deepcopy(learner)
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    views = build_views(config, learner.encoder)(images, torch.Generator().manual_seed(0))
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        shard(divided)
        for each in (learner, divided):
            torch.stack(list(each(views).losses.values())).sum().backward()
        gradients = whole({name: p.grad for name, p in divided.named_parameters()}, keep=True)
    finally:
        distributed.destroy_process_group()
    for name, p in learner.named_parameters():
        assert (p.grad is None) == (gradients[name] is None)
        assert p.grad is None or torch.allclose(gradients[name], p.grad, atol=1e-6), name
    assert {name.split(".")[-3] for name, p in learner.encoder.named_parameters() if p.grad is not None} == {
        "lora_A",
        "lora_B",
    }
