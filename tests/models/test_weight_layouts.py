"""Checkpoints of others, in the layouts in which they are published, give the features of the model they are of."""

import argparse
import dataclasses

import pytest
import timm
import torch
import torchvision
from lightly.models.modules import MaskedVisionTransformerTIMM, MaskedVisionTransformerTorchvision
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import nn

from equicoherence.evaluation import load_model
from equicoherence.methods.dino import DINOConfig
from equicoherence.models.weights import load_weights
from equicoherence.training import EncoderConfig, pretrain
from tests.small import small_config

SMALL = {"img_size": 32, "depth": 2, "embed_dim": 24, "num_heads": 3}
HEAD = {"mlp.0.weight": torch.zeros(4, 24), "last_layer.weight_g": torch.zeros(4, 1)}


def vit(seed, **args):
    torch.manual_seed(seed)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **{**SMALL, "patch_size": 8, **args}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def under(prefix, weights):
    return {f"{prefix}{name}": tensor for name, tensor in weights.items()}


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def loaded(saved, model, path):
    """Save a checkpoint and load it into a model."""
    torch.save(saved, path / "w.pth")
    load_weights(model, path / "w.pth")
    return model.eval()


@torch.no_grad()
def assert_same(model, source, images, atol=1e-6):
    found, wanted = model.forward_features(images), source.forward_features(images)
    assert torch.allclose(found, wanted, atol=atol)


TEACHER, STUDENT = vit(1), vit(2)
OF_TEACHER, OF_STUDENT = TEACHER.state_dict(), STUDENT.state_dict()


@pytest.mark.parametrize(
    ("saved", "taken", "other"),
    [
        pytest.param(  # published full checkpoints of DINO (v1) and iBOT
            {
                "student": under("module.backbone.", {**OF_STUDENT, "masked_embed": torch.zeros(1, 24)})
                | under("module.head.", HEAD),
                "teacher": under("backbone.", OF_TEACHER) | under("head.", HEAD),
                "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
                "epoch": 100,
                "args": argparse.Namespace(arch="vit_small", lr=0.1),
                "dino_loss": {"center": torch.zeros(1, 4)},
            },
            "teacher.backbone.",
            "student.module.backbone.",
            id="dino",
        ),
        pytest.param(  # the last of a DINOv2 training
            {"teacher": under("backbone.", OF_TEACHER) | under("dino_head.", HEAD) | under("ibot_head.", HEAD)},
            "teacher.backbone.",
            None,
            id="dinov2 teacher",
        ),
        pytest.param(  # and one in its middle
            {
                "model": under("teacher.backbone._fsdp_wrapped_module.", OF_TEACHER)
                | under("student.backbone._fsdp_wrapped_module.", OF_STUDENT)
                | under("student.dino_head.", HEAD),
                "iteration": 3,
            },
            "model.teacher.backbone.",
            "model.student.backbone.",
            id="dinov2 training",
        ),
        pytest.param(
            {"encoder": under("module.", OF_STUDENT), "target_encoder": under("module.", OF_TEACHER), "epoch": 1},
            "target_encoder.module.",
            "encoder.module.",
            id="ijepa",
        ),
        pytest.param(  # lightly's DINO
            {
                "state_dict": under("student_backbone.vit.", OF_STUDENT)
                | {"student_backbone.mask_token": torch.zeros(1, 1, 24)}
                | under("teacher_backbone.vit.", OF_TEACHER)
            },
            "state_dict.teacher_backbone.vit.",
            "state_dict.student_backbone.vit.",
            id="lightly dino",
        ),
        pytest.param(  # MoCo v3: the encoder, not its momentum copy; a projection stands in its classifier's place
            {
                "arch": "vit_small",
                "state_dict": under("module.base_encoder.", OF_TEACHER | under("head.", {"0.weight": torch.zeros(4)}))
                | under("module.momentum_encoder.", OF_STUDENT)
                | under("module.predictor.", HEAD),
            },
            "state_dict.module.base_encoder.",
            "state_dict.module.momentum_encoder.",
            id="mocov3",
        ),
        pytest.param(
            {"state_dict": OF_STUDENT, "state_dict_ema": OF_TEACHER, "arch": "vit"},
            "state_dict_ema.",
            "state_dict.",
            id="timm ema",
        ),
        pytest.param(  # MAE keeps its decoder among the encoder's names
            {
                "model": OF_TEACHER
                | {"mask_token": torch.zeros(1, 1, 8), "decoder_blocks.0.norm1.weight": torch.ones(8)}
            },
            "model.",
            None,
            id="mae",
        ),
    ],
)
def test_transformers_of_published_layouts(saved, taken, other, images, tmp_path, capsys):
    assert_same(loaded(saved, vit(3), tmp_path), TEACHER, images)
    said = capsys.readouterr().err
    assert (f"it holds several encoders: {taken!r} is taken, not {other!r}" in said) == (other is not None)
    if taken == "model.":
        assert "2 tensors of pretraining are not loaded (mask_token, decoder_blocks.0.norm1.weight)" in said
    else:
        held = sum(len(part) for part in saved.values() if isinstance(part, dict) and "state" not in part)
        inside = len(OF_TEACHER) + ("base_encoder" in taken)
        assert (f"{held - inside} tensors outside {taken!r} are not loaded" in said) == (held > inside)


def facebook(model, *, registers, chunk=0, classes=None):
    """Rename a timm model's weights as facebookresearch/dinov2 has them."""
    weights = dict(model.state_dict())
    renamed = {"mask_token": torch.zeros(1, 24)}
    if registers:
        position = torch.randn(1, 1, 24)
        renamed["register_tokens"] = weights.pop("reg_token")
        weights["cls_token"] = weights["cls_token"] - position
        weights["pos_embed"] = torch.cat([position, weights["pos_embed"]], dim=1)
    for name, tensor in weights.items():
        name = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3") if classes == "swiglu" else name
        parts = name.split(".")
        if chunk and parts[0] == "blocks":
            parts.insert(1, str(int(parts[1]) // chunk))
        renamed[".".join(parts)] = tensor
    return renamed


@pytest.mark.parametrize("chunk", [0, 1])
@pytest.mark.parametrize(
    ("args", "classes"),
    [
        ({"init_values": 1e-5}, None),
        ({"init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True}, None),
        ({"mlp_layer": SwiGLUPacked}, "swiglu"),
    ],
)
def test_dinov2_of_the_hub_with_registers_chunked_blocks_and_swiglu(args, classes, chunk, images, tmp_path, capsys):
    source = vit(4, **args)
    weights = facebook(source, registers="reg_tokens" in args, chunk=chunk, classes=classes)
    assert_same(loaded(weights, vit(5, **args), tmp_path), source, images, atol=1e-5)
    assert "1 tensors of pretraining are not loaded (mask_token)" in capsys.readouterr().err
    if not chunk:  # timm's own reading of these files
        reference = vit(6, **args)
        reference.load_state_dict(checkpoint_filter_fn(dict(weights), reference))
        assert_same(loaded(weights, vit(5, **args), tmp_path), reference, images)
        with torch.no_grad():
            small = torch.nn.functional.interpolate(images, 24)
        resized = vit(6, **{**args, "img_size": 24})
        resized.load_state_dict(checkpoint_filter_fn(dict(weights), resized))
        assert_same(loaded(weights, vit(5, **{**args, "img_size": 24}), tmp_path), resized, small)
        assert "position embeddings are resampled from a grid of 4 x 4 to 3 x 3" in capsys.readouterr().err


def test_registers_do_not_load_into_a_model_without(tmp_path):
    weights = facebook(vit(4, reg_tokens=4, no_embed_class=True), registers=True)
    with pytest.raises(ValueError, match=r"have no place in it \(register_tokens\)"):
        loaded(weights, vit(5), tmp_path)


@pytest.mark.parametrize("img_size", [48, (16, 40)])
def test_positions_are_resampled_to_grids_of_any_shape_and_said(img_size, tmp_path, capsys):
    model = loaded({"state_dict": OF_TEACHER}, vit(3, img_size=img_size), tmp_path)
    height, width = model.patch_embed.grid_size
    said = capsys.readouterr().err
    assert (
        said == f"{tmp_path / 'w.pth'}: position embeddings are resampled from a grid of 4 x 4 to {height} x {width}\n"
    )
    reference = vit(3, img_size=img_size)
    reference.load_state_dict(checkpoint_filter_fn(dict(OF_TEACHER), reference))
    assert torch.equal(model.pos_embed, reference.pos_embed)
    assert torch.equal(model.pos_embed[:, 0], TEACHER.pos_embed[:, 0])  # the class token's is no place


RESNET = {"layers": [1, 1, 1, 1]}


def resnet(seed):
    torch.manual_seed(seed)
    model = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]).eval()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(0.01 * torch.rand(tensor.shape)) if "var" in name else tensor.add_(
                0.01 * torch.randn(tensor.shape)
            )
    return model


def children(model):
    """Return the model as lightly's examples have it: without its last layer, in a Sequential."""
    return nn.Sequential(*list(model.children())[:-1])


@pytest.mark.parametrize(
    "save",
    [
        lambda model: model.state_dict(),
        lambda model: {k: v for k, v in model.state_dict().items() if "num_batches" not in k},  # of torch 0.4
        lambda model: {"model": under("module.backbone.", model.state_dict()), "epoch": 1},  # SIE, VICReg
        lambda model: {
            "state_dict": under("backbone.", children(model).state_dict()) | under("projection_head.", HEAD)
        },
        lambda model: {  # lightly's MoCo
            "state_dict": under("backbone.", children(model).state_dict())
            | under("backbone_momentum.", children(resnet(9)).state_dict())
        },
        lambda model: under("_orig_mod.", model.state_dict()),
    ],
)
def test_torchvision_resnets_of_published_layouts(save, images, tmp_path):
    source = resnet(1)
    torch.manual_seed(0)
    target = timm.create_model("resnet18", num_classes=0, **RESNET)
    loaded(save(source), target, tmp_path)
    with torch.no_grad():
        assert torch.allclose(target(images), children(source)(images).flatten(1), atol=1e-5)


def test_torchvision_transformers_alone_and_in_lightly(images, tmp_path, capsys):
    torch.manual_seed(0)
    source = torchvision.models.VisionTransformer(32, 8, 2, 3, 24, 96, num_classes=7).eval()
    nn.init.normal_(source.heads.head.weight)
    for saved in (
        under("", {k: v for k, v in source.state_dict().items() if not k.startswith("heads.")}),
        {"state_dict": under("backbone.vit.", source.state_dict())},
        {"state_dict": under("backbone.", MaskedVisionTransformerTorchvision(source).state_dict())},
    ):
        model = loaded(saved, vit(3), tmp_path)
        with torch.no_grad():
            tokens = torch.cat([source.class_token.expand(2, -1, -1), source._process_input(images)], dim=1)
            assert torch.allclose(model.forward_features(images), source.encoder(tokens), atol=1e-5)
    assert "mask_token" in capsys.readouterr().err


def test_timm_transformers_in_lightly(images, tmp_path, capsys):
    saved = {"state_dict": under("backbone.", MaskedVisionTransformerTIMM(vit(4)).state_dict())}
    wrapped = {name.removeprefix("backbone.vit."): tensor for name, tensor in saved["state_dict"].items()}
    source = vit(5)
    source.load_state_dict({name: wrapped[name] for name in source.state_dict()})
    assert_same(loaded(saved, vit(3), tmp_path), source, images)
    assert "(state_dict.backbone.mask_token)" in capsys.readouterr().err


def test_our_own_checkpoints_give_what_their_run_gives(folder, images, tmp_path, capsys):
    encoder = EncoderConfig("vit_tiny_patch16_224", {**SMALL, "patch_size": 8})
    method = DINOConfig(prototypes=20, hidden=12, bottleneck=6)
    config = small_config(folder, max_steps=1, method=method, encoder=encoder, coherence=None)
    run = pretrain(dataclasses.replace(config, d=16), tmp_path / "run")
    source = load_model(run).encoder.model
    model = vit(3)
    load_weights(model, next((run / "checkpoints").glob("*.pt")))
    assert_same(model, source, images)
    said = capsys.readouterr().err
    assert "'learner.encoder.model.' is taken, not 'learner.teacher.0.model.'" in said


def test_other_objects_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(
        ValueError, match=r"holds a Python object \(torch\.nn\.modules\.linear\.Linear\).*state dict alone"
    ):
        loaded({"model": nn.Linear(2, 2)}, vit(3), tmp_path)
