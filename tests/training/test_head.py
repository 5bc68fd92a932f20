"""An encoder that stands still, and a head on it that learns from the task alone."""

import dataclasses

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation.model import load_model
from equicoherence.exporting import export
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.models.joined import SHARE
from equicoherence.training import build_learner, build_views, pretrain
from equicoherence.training.learner import Learner
from equicoherence.training.start import started
from tests.small import head_config, picture_folder

TASK = CoherenceConfig(d_equi=8, decoder="render+cross-attention", layers=(2, 1), split="conv", width=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("head")


@pytest.fixture(scope="module")
def config(folder):
    data = picture_folder(folder / "data", 10)
    config = head_config(data, folder / "w.safetensors", coherence=TASK)
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=4, lr=1e-2))


@pytest.fixture(scope="module")
def run(config, folder):
    return pretrain(dataclasses.replace(config, max_steps=3), folder / "run")


def test_the_encoder_stays_what_it_was_bit_for_bit(run, folder):
    begin, end = load_file(folder / "w.safetensors"), load_file(run / "model.safetensors")
    assert begin.keys() >= end.keys()
    assert all(torch.equal(begin[name], tensor) for name, tensor in end.items())


def _learner_and_views(config):
    config, start = started(config)
    torch.manual_seed(0)
    learner = build_learner(config, start=start)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return learner, build_views(config, learner.encoder)(images, torch.Generator().manual_seed(2))


def test_the_head_learns_and_nothing_else_is_lost_or_kept(config, folder):
    learner, views = _learner_and_views(config)
    losses = learner(views).losses
    assert views.base is None
    assert learner.teacher is None
    assert list(losses) == ["reconstruction"]
    losses["reconstruction"].backward()
    moved = {name for name, p in learner.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(name.startswith("head.equivariant.reads.1") for name in moved)
    assert not any(name.startswith("encoder.") for name in moved)


def test_layers_that_nothing_reads_are_not_computed_and_the_head_learns_the_same(config, monkeypatch):
    learner, views = _learner_and_views(config)
    computed, gradients = [], []
    stages = ["layer1", "layer2", "layer3", "layer4"]  # of a ResNet, the layers 1 to 4
    for stage in stages:
        learner.encoder.model.get_submodule(stage).register_forward_hook(
            lambda *given, stage=stage: computed.append(stage)
        )
    for layers_only in (True, False):
        if not layers_only:
            monkeypatch.setattr(Learner, "layers_only", False)
        output = learner(views)
        output.losses["reconstruction"].backward()
        gradients.append([p.grad for p in learner.parameters() if p.grad is not None])
        learner.zero_grad(set_to_none=True)
        assert ("invariant" in output.pooled) is not layers_only
    assert computed == [*stages[: max(TASK.layers)], *stages]
    assert len(gradients[0]) > 4
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_joined_is_the_encoders_own_features_and_then_z_equi_at_a_third_of_their_norm(run):
    model = load_model(run)
    with torch.inference_mode():
        pooled, tokens = model.represent(torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(3)))
    width = pooled["backbone"].shape[1]
    assert torch.equal(pooled["joined"][:, :width], pooled["backbone"])
    added = pooled["joined"][:, width:]
    assert torch.allclose(added.norm(dim=1), SHARE * pooled["backbone"].norm(dim=1), rtol=1e-5)
    assert torch.allclose(torch.cosine_similarity(added, pooled["z_equi"]), torch.ones(3), atol=1e-6)
    assert tokens["z_equi"].shape[1:] == (16, 8)  # those of layer 2, at 8 px
    assert "joined" not in tokens


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"coherence": None}, "without the task"),
        ({"method": VICRegConfig(width=8)}, "VICReg has nothing to train"),
        ({"keep": 0.01}, "keep is 0.01, but with encoder.train head the encoder is frozen"),
    ],
)
def test_what_would_train_nothing_is_refused(config, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(config, **changes)


def test_checkpointing_of_a_frozen_encoder_is_refused(config):
    encoder = dataclasses.replace(config.encoder, checkpointing=True)
    with pytest.raises(ValueError, match=r"nothing is computed twice; give --encoder\.no-checkpointing"):
        dataclasses.replace(config, encoder=encoder)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layers": (1, 2)}, r"split linear reads one layer, but coherence\.layers are \(1, 2\)"),
        ({"layers": (1,), "split": "head"}, r"coherence\.layers must be empty, got \(1,\)"),
    ],
)
def test_layers_that_nothing_reads_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        CoherenceConfig(d_equi=8, **settings)


@torch.no_grad()
@pytest.mark.parametrize("to", ["program", "onnx"])
def test_exports_give_z_equi_and_joined_without_timm(run, tmp_path, to):
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    wanted = load_model(run).represent(images)[0]
    out, outputs = export(run, to), ("pooled", "patches", "z_equi", "joined")
    if to == "program":
        found = dict(zip(outputs, torch.export.load(out).module()(images)))
    else:
        session = onnxruntime.InferenceSession(str(out))
        found = dict(zip(outputs, map(torch.as_tensor, session.run(None, {"images": images.numpy()}))))
    assert torch.allclose(found["pooled"], wanted["backbone"], atol=1e-4)
    for name in ("z_equi", "joined"):
        assert torch.allclose(found[name], wanted[name], atol=1e-4)


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("timm", "is in heads.safetensors, which timm does not read: load_model, evaluate and embed do"),
        ("torch", "is no part of a timm model, so it is left out: --to program or onnx has it"),
    ],
)
def test_what_timm_reads_is_the_original_and_lines_say_so(run, folder, tmp_path, capsys, to, where):
    out = export(run, to, tmp_path / ("e" if to == "timm" else "e.pt"))
    assert capsys.readouterr().err.splitlines() == [
        f"the exported encoder is {folder / 'w.safetensors'}, unchanged: with encoder.train head nothing of it was "
        "trained",
        f"z_equi of {run} {where}",
    ]
    begin = load_file(folder / "w.safetensors")
    held = torch.load(out, weights_only=True)["state_dict"] if to == "torch" else load_file(out / "model.safetensors")
    assert all(torch.equal(begin[name], tensor) for name, tensor in held.items())
