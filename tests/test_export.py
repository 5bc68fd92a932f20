"""An exported encoder gives the run's features: in timm, in ONNX Runtime, in torch; the student's or the teacher's."""

import dataclasses
import importlib.util
import json

import numpy as np
import onnxruntime
import pytest
import timm
import torch

import equicoherence.exporting as module
from equicoherence.cli import main
from equicoherence.evaluation import load_model
from equicoherence.evaluation.frozen_model import random_control
from equicoherence.exporting import export
from equicoherence.methods.dino import DINOConfig
from equicoherence.pushing import push
from equicoherence.training import EncoderConfig, OptimConfig, pretrain
from equicoherence.training.run import load_run
from tests.hub import hub_at
from tests.small import picture_folder, small_config

VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 3}
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = picture_folder(tmp_path_factory.mktemp("pictures") / "data", per_class=12)
    return pretrain(small_config(folder, max_steps=1), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    folder = picture_folder(tmp_path_factory.mktemp("pictures") / "data", per_class=12)
    method = DINOConfig(prototypes=20, hidden=12, bottleneck=6)
    config = small_config(folder, max_steps=2, method=method, encoder=VIT, coherence=None)
    return pretrain(dataclasses.replace(config, d=16), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def images():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def features(encoder, images):
    return encoder.eval()(images)


@pytest.mark.parametrize("of", ["run", "distilled"])
@pytest.mark.parametrize("teacher", [False, True])
def test_every_target_gives_the_features_of_student_or_teacher(of, teacher, images, tmp_path, request, monkeypatch):
    path = request.getfixturevalue(of)
    _, learner = load_run(path)
    if teacher and learner.teacher is None:
        with pytest.raises(ValueError, match="has no teacher: SimCLR"):
            export(path, "timm", tmp_path / "t", teacher=True)
        return
    encoder = learner.teacher[0] if teacher else learner.encoder
    wanted = features(encoder, images)
    pooled = wanted.pooled(learner.pool)
    normal = (images - encoder.mean) / encoder.std

    folder = export(path, "timm", tmp_path / "new/folder", teacher=teacher)
    found = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.allclose(found(normal), pooled, atol=1e-6)
    heads = ["equicoherence.json", "heads.safetensors"] if of == "run" else []  # DINO alone has no split
    assert sorted(entry.name for entry in folder.iterdir()) == ["config.json", *heads, "model.safetensors"]

    held = torch.load(export(path, "torch", tmp_path / "e.pt", teacher=teacher), weights_only=True)
    model = timm.create_model(held["architecture"], num_classes=0, **held["args"]).eval()
    model.load_state_dict(held["state_dict"])
    assert (held["size"], held["pool"]) == (32, learner.pool)
    mean, std = (torch.tensor(held[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        tokens = model.forward_features((images - mean) / std)
    tokens = tokens[:, 1:] if of == "distilled" else tokens.flatten(2).transpose(1, 2)
    assert torch.allclose(tokens, wanted.patches, atol=1e-6)

    program = torch.export.load(export(path, "program", tmp_path / "e.pt2", teacher=teacher)).module()
    for count in (1, 3):
        for value, truth in zip(program(images[:count]), (pooled, wanted.patches)):
            assert torch.allclose(value, truth[:count], atol=1e-5)

    if teacher:
        return  # what ONNX makes of one encoder it makes of the other
    session = onnxruntime.InferenceSession(str(export(path, "onnx", tmp_path / "e.onnx", teacher=teacher)))
    for count in (1, 3):
        given = session.run(["pooled", "patches"], {"images": images[:count].numpy()})
        for value, truth in zip(given, (pooled, wanted.patches)):
            assert np.allclose(value, truth[:count], atol=1e-4)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "e.onnx",
        "e.pt",
        "e.pt2",
        "new",
    ]  # nothing of its making


@pytest.mark.parametrize(
    ("encoder", "pool"),
    [
        (EncoderConfig("vit_tiny_patch16_224", {**VIT.args, "global_pool": "token"}), "mean"),
        (EncoderConfig("test_convnext"), "head"),
        (EncoderConfig("lcnet_035"), "mean"),
    ],
    ids=lambda value: value.name if isinstance(value, EncoderConfig) else None,
)
def test_a_run_its_folder_and_its_exports_read_and_pool_alike(encoder, pool, tmp_path, capsys):
    folder = picture_folder(tmp_path / "data", per_class=10)
    config = small_config(folder, max_steps=1, encoder=encoder, optim=OptimConfig(epochs=1, batch_size=4))
    config = dataclasses.replace(config, views=dataclasses.replace(config.views, source=48))
    run = pretrain(config, tmp_path / "run")
    wanted = load_model(run)
    assert (wanted.pool, wanted.size, wanted.source) == (pool, 32, 48)
    others = [load_model(export(run, "torch"))]
    if encoder.name == "lcnet_035":
        assert "timm has no way to pool lcnet_035" in capsys.readouterr().err
        with pytest.raises(ValueError, match=r"by the mean of the patch tokens .* export it to torch or onnx"):
            export(run, "timm")
        with pytest.raises(FileNotFoundError, match=f"it is a run that timm cannot load; write {run}"):
            load_model(f"timm:local-dir:{run}")
    else:
        others += [load_model(f"timm:local-dir:{run}"), load_model(f"timm:local-dir:{export(run, 'timm')}")]
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for other in others:
            assert (other.size, other.source) == (32, 48)
            found = other.represent(images)[0]["backbone"]
            assert torch.allclose(found, wanted.represent(images)[0]["backbone"], atol=1e-5)


def test_student_and_teacher_are_not_the_same(distilled, images):
    _, learner = load_run(distilled)
    student, teacher = (features(e, images).cls for e in (learner.encoder, learner.teacher[0]))
    assert not torch.allclose(student, teacher, atol=1e-6)


def test_what_is_exported_can_be_evaluated_again(distilled, images, tmp_path):
    wanted = features(load_model(distilled).encoder, images)
    folder = export(distilled, "timm")
    assert folder == distilled / "encoder"
    again = features(load_model(f"timm:local-dir:{folder}").encoder, images)
    assert torch.equal(again.cls, wanted.cls)
    held = export(distilled, "torch", tmp_path / "e.pt")
    saved = json.loads((distilled / "config.json").read_text())
    encoder = load_model(f"timm:local-dir:{folder}", random_weights=True).encoder
    assert saved["architecture"] == torch.load(held, weights_only=True)["architecture"]
    assert not torch.equal(features(encoder, images).cls, wanted.cls)
    from equicoherence.models.weights import load_weights

    load_weights(encoder.model, held)
    assert torch.equal(features(encoder, images).cls, wanted.cls)


def test_nothing_is_overwritten_unasked(run, tmp_path):
    (tmp_path / "e.pt").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        export(run, "torch", tmp_path / "e.pt")
    assert (tmp_path / "e.pt").read_bytes() == b"mine"
    assert torch.load(export(run, "torch", tmp_path / "e.pt", overwrite=True), weights_only=True)["size"] == 32
    (tmp_path / "folder").mkdir()
    export(run, "timm", tmp_path / "folder")  # empty: nothing is lost
    (tmp_path / "folder/notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        export(run, "timm", tmp_path / "folder")
    export(run, "timm", tmp_path / "folder", overwrite=True)
    assert (tmp_path / "folder/notes.txt").read_text() == "mine"
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("name: mine")
    with pytest.raises(FileExistsError, match="run is a run directory, whose heads would be replaced; give another"):
        export(run, "timm", tmp_path / "run", overwrite=True)
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(FileExistsError, match="is a folder"):
        export(run, "torch", tmp_path / "folder.pt", overwrite=True)


@pytest.mark.parametrize(("to", "ending"), [("onnx", r"\.onnx"), ("torch", r"\.pt or \.pth")])
def test_a_file_has_the_ending_of_its_kind(run, tmp_path, to, ending):
    with pytest.raises(ValueError, match=f"--to {to} writes a file whose name ends in {ending}, got --out .*folder"):
        export(run, to, tmp_path / "folder")
    assert not list(tmp_path.iterdir())


@torch.no_grad()
def test_what_the_command_prints_uses_what_it_wrote(distilled, images, tmp_path, capsys):
    wanted = features(load_model(distilled).encoder, images)
    learner = load_run(distilled)[1]
    mean, std = (part.flatten().tolist() for part in (learner.encoder.mean, learner.encoder.std))

    def said(to, out):
        assert main(["export", str(distilled), "--to", to, "--out", str(out)]) == 0
        first, *code, about = capsys.readouterr().out.splitlines()
        assert first == f"{out} done; load it:"
        names = {"timm": timm, "torch": torch, "onnxruntime": onnxruntime, "images": images.numpy()}
        exec("\n".join(code), names)  # the printed words
        return names, about

    names, about = said("onnx", tmp_path / "e.onnx")
    assert np.allclose(names["patches"], wanted.patches, atol=1e-4)
    assert about.startswith("images: float32 (B, 3, 32, 32) in [0, 1], not normalised")
    for to, out in (("timm", "folder"), ("torch", "e.pt")):
        names, about = said(to, tmp_path / out)
        tokens = names["model"].forward_features((images - learner.encoder.mean) / learner.encoder.std)
        assert torch.allclose(tokens[:, 1:], wanted.patches, atol=1e-6)
        shown = [np.round(values, 6).tolist() for values in (mean, std)]
        assert f"(B, 3, 32, 32) in [0, 1], normalised: (images - mean) / std, mean {shown[0]}, std {shown[1]}" in about
    assert about.endswith("evaluation: its class token")


def test_others_may_read_what_is_exported(run, tmp_path):
    (tmp_path / "plain").touch()
    files = [*export(run, "timm", tmp_path / "folder").iterdir(), export(run, "torch", tmp_path / "e.pt")]
    assert {path.stat().st_mode for path in files} == {(tmp_path / "plain").stat().st_mode}


@pytest.mark.parametrize("of", ["run", "distilled"])
def test_an_exported_file_says_itself_what_it_is(of, images, tmp_path, request):
    path = request.getfixturevalue(of)
    wanted = load_model(path)
    found = load_model(export(path, "torch", tmp_path / "e.pt"))
    assert (found.size, found.pool) == (wanted.size, wanted.pool)
    with torch.no_grad():
        assert torch.equal(found.represent(images)[0]["backbone"], wanted.represent(images)[0]["backbone"])
    larger = load_model(tmp_path / "e.pt", size=64)
    assert larger.size == 64
    assert larger.encoder.eval()(torch.rand(1, 3, 64, 64)).grid == (8, 8)
    control = random_control(found)
    assert not torch.equal(features(control.encoder, images).patches, features(wanted.encoder, images).patches)


def test_an_exported_file_keeps_its_normalisation_for_its_control_too(run, tmp_path):
    export(run, "torch", tmp_path / "e.pt")
    held = torch.load(tmp_path / "e.pt", weights_only=True)
    torch.save({**held, "mean": [0.1, 0.2, 0.3]}, tmp_path / "e.pt")
    found = load_model(tmp_path / "e.pt")
    for model in (found, random_control(found)):
        assert torch.equal(model.encoder.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("name", ["local-dir:somewhere", "hf-hub:someone/something", "resnet", None])
def test_an_exported_file_of_no_known_architecture_makes_timm_open_nothing(run, tmp_path, name):
    held = torch.load(export(run, "torch", tmp_path / "e.pt"), weights_only=True)
    torch.save({**held, "architecture": name}, tmp_path / "e.pt")
    with pytest.raises(ValueError, match=f"is for '{name}', which timm does not have; say with --arch"):
        load_model(tmp_path / "e.pt")


def test_an_exported_folder_is_a_model_by_its_path_alone(run, tmp_path):
    folder, images = export(run, "timm", tmp_path / "folder"), torch.rand(2, 3, 32, 32)
    found, wanted = (load_model(place) for place in (folder, f"local-dir:{folder}"))
    assert (found.name, found.size, found.source) == (wanted.name, wanted.size, wanted.source)
    ours, theirs = (model.represent(images)[0] for model in (found, wanted))
    assert {"z_inv", "z_equi"} <= ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert load_model(folder, random_weights=True).head is None  # as of any timm model


def test_a_folder_of_timm_itself_is_a_model(tmp_path):
    model = timm.create_model("test_resnet", num_classes=0).eval()
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    found = load_model(tmp_path).encoder.model.state_dict()
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("files", "lack"),
    [
        ({}, "it has no config.json"),
        ({"config.json": '{"architectures": ["ViTModel"]}', "model.safetensors": ""}, "names no architecture of timm"),
        ({"config.json": '{"architecture": "resnet18"}'}, "it has config.json, but no weights"),
        ({"config.json": '{"architecture": "resnet99"}', "model.safetensors": ""}, "no model that timm has"),
        ({"config.json": '{"architecture"', "model.safetensors": ""}, "config.json is damaged"),
        *(
            ({"config.json": '{"architecture": "test_resnet"}', name: text}, "cannot be read, or do not fit its config")
            for name, text in (
                ("model.safetensors", "junk"),
                ("pytorch_model.bin", ""),
                ("pytorch_model.bin", "every good boy"),  # a KeyError of torch
                ("model.pth", ""),
                ("optimizer.bin", "junk"),  # which timm takes where there is no other
            )
        ),
    ],
)
def test_another_folder_is_no_model_and_the_error_says_what_it_lacks(tmp_path, capsys, files, lack):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for command in (["evaluate"], ["embed", "--out", "features.npz"], ["adapt"]):
        assert main([command[0], str(tmp_path), "--data", "objects", *command[1:]]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert lack in said
        assert str(tmp_path) in said


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how huggingface_hub uploads
def test_heads_of_another_encoder_are_removed(run, distilled, tmp_path):
    folder = export(run, "timm", tmp_path / "folder")
    assert {"z_inv", "z_equi"} <= load_model(f"local-dir:{folder}").represent(torch.rand(1, 3, 32, 32))[0].keys()
    export(distilled, "timm", folder, overwrite=True)
    assert sorted(entry.name for entry in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert [*load_model(f"local-dir:{folder}").represent(torch.rand(1, 3, 32, 32))[0]] == ["backbone"]
    with hub_at(tmp_path) as hub:
        hub.add("someone/taken", {"heads.safetensors": b"", "equicoherence.json": b"", "notes.md": b"mine"})
        push(distilled, "someone/taken", overwrite=True)
        assert sorted(hub.files("someone/taken")) == ["README.md", "config.json", "model.safetensors", "notes.md"]


def test_wrong_use_is_named(run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="to must be one of timm, onnx, torch, program, got 'jax'"):
        export(run, "jax", tmp_path / "e")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"no config\.yaml"):
        export(tmp_path, "timm", tmp_path / "e")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ImportError, match=r"ONNX needs onnxscript: pip install 'equicoherence\[onnx\]'"):
        export(run, "onnx", tmp_path / "e.onnx")
    assert not list(tmp_path.iterdir())


def test_an_onnx_model_that_says_something_else_is_not_written(run, tmp_path, monkeypatch):
    class Worse(module.OutputModel):
        def forward(self, images):
            pooled, patches = super().forward(images)
            return (pooled * 1.001 if torch.compiler.is_exporting() else pooled), patches

    monkeypatch.setattr(module, "OutputModel", Worse)
    with pytest.raises(RuntimeError, match=r"pooled differ from the encoder's by .*nothing was written"):
        export(run, "onnx", tmp_path / "e.onnx")
    assert not list(tmp_path.iterdir())
