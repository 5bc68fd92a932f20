"""An encoder with its heads, as a folder or on the Hub: it is what its run is, and bad files are named."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from equicoherence import Encoder, load_model, push
from equicoherence.cli import main
from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation.model import of_run
from equicoherence.exporting import export
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.ser import SERConfig
from equicoherence.methods.sie import SIEConfig
from equicoherence.training import EncoderConfig, ViewsConfig, build_learner, pretrain
from equicoherence.training.checkpoint import export_encoder
from equicoherence.training.shared import has_own_heads, load_shared, write_shared
from tests.hub import hub_at
from tests.small import head_config, small_config

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how huggingface_hub uploads

NAME = "someone/small"
MODEL = f"hf-hub:{NAME}"
DOCS = Path(__file__).resolve().parents[1] / "docs"
FILES = ["config.json", "equicoherence.json", "heads.safetensors", "model.safetensors"]
VIT = EncoderConfig("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 24})


@pytest.fixture(scope="module")
def adapted(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("adapted")
    return pretrain(head_config(folder, place / "w.safetensors", max_steps=1), place / "run")


@pytest.fixture(scope="module")
def exported(adapted, tmp_path_factory):
    return export(adapted, "timm", tmp_path_factory.mktemp("exported") / "folder")


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def same(model, other, images):
    """Return the names of the pooled representations, which two models give alike to the bit."""
    found, wanted = model.represent(images), other.represent(images)
    for own, others in zip(found, wanted):
        assert own.keys() == others.keys()
        assert all(torch.equal(own[name], others[name]) for name in own)
    return [*found[0]]


def test_what_is_pushed_is_the_run_with_its_heads_and_for_timm_the_encoder(adapted, exported, images, tmp_path, capsys):
    run = load_model(adapted)
    with hub_at(tmp_path) as hub:
        push(adapted, NAME)
        text = hub.files(NAME).pop("README.md").decode()
        assert hub.files(NAME) == {".gitattributes": b"*.safetensors filter=lfs"} | {
            name: (exported / name).read_bytes() for name in FILES
        }
        loaded = load_model(MODEL)
        model = timm.create_model(MODEL, pretrained=True).eval()
        capsys.readouterr()
        encoder = Encoder.from_pretrained(MODEL)
    assert f"{MODEL} has heads (z_inv, z_equi or z): load_model gives these" in capsys.readouterr().err
    assert same(loaded, run, images) == ["backbone", "z_equi", "joined"]
    assert (loaded.name, loaded.group, loaded.size, loaded.source) == (MODEL, MODEL, 32, 32)
    wanted = run.represent(images)[0]
    with torch.no_grad():
        assert torch.allclose(model((images - encoder.mean) / encoder.std), wanted["backbone"], atol=1e-6)
        assert torch.equal(encoder(images).pooled(encoder.pool), wanted["backbone"])
    assert 'pooled["joined"]` (B, 24)' in text
    line = text.split('pooled["joined"]`')[1].split("`")[1]
    f, z = wanted["backbone"], wanted["z_equi"]
    assert torch.allclose(eval(line, {"torch": torch, "f": f, "z": z}), wanted["joined"], atol=1e-6)


def test_a_loaded_folder_holds_no_copy_of_the_encoder_as_a_teacher(exported):
    learner = load_shared(exported)[1]
    assert learner.teacher is None
    assert not any(name.startswith("teacher.") for name in learner.state_dict())


def test_the_folder_is_a_model_for_every_command_and_names_no_path(adapted, exported, folder, tmp_path, images, capsys):
    assert same(load_model(f"local-dir:{exported}"), load_model(adapted), images) == ["backbone", "z_equi", "joined"]
    given = ["--data", str(folder), "--limit", "4", "--features", "backbone,z_equi,joined", "--out"]
    files = {str(adapted): tmp_path / "run.npz", str(exported): tmp_path / "folder.npz"}
    for model, file in files.items():
        assert main(["embed", model, *given, str(file)]) == 0
    own, others = (np.load(file) for file in files.values())
    for name in ("backbone", "z_equi", "joined"):
        assert np.array_equal(own[name], others[name])
    scored = tmp_path / "scored"
    given = ["--data", str(folder), "--tasks", "knn", "--no-controls", "--out", str(scored)]
    assert main(["evaluate", str(exported), f"local-dir:{exported}", *given]) == 2  # the same model twice
    assert main(["evaluate", str(exported), *given]) == 0
    about = json.loads((scored / "scores.json").read_text())
    assert (about["model"], about["arch"]) == (f"local-dir:{exported}", "resnet18")
    assert f"next: equicoherence adapt local-dir:{exported} --data" in capsys.readouterr().out
    about = json.loads((exported / "equicoherence.json").read_text())
    assert [*about] == ["equicoherence", "name", "method", "encoder", "d", "coherence", "views"]
    assert about["encoder"]["weights"] == "w.safetensors"
    assert str(adapted.parent) not in str(about)


@torch.no_grad()
def test_the_line_of_each_page_joins_features_and_z_equi_as_a_run_does(adapted, images):
    pooled = load_model(adapted).represent(images)[0]
    f, z = pooled["backbone"], pooled["z_equi"]
    tensors, arrays = {"torch": torch, "f": f, "z": z}, {"numpy": np, "f": f.numpy(), "z": z.numpy()}
    for page, named in {"adapting": tensors, "glossary": tensors, "features": arrays}.items():
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        (line,) = re.findall(r"`(?:joined = )?((?:torch\.cat|numpy\.hstack)\(\[f, z[^`]*)`", text)
        assert torch.allclose(torch.as_tensor(eval(line, named)), pooled["joined"], atol=1e-6), page


def test_at_another_size_or_with_random_weights_there_are_no_heads(exported, images, capsys):
    model = f"local-dir:{exported}"
    assert [*load_model(model, size=64).represent(torch.rand(1, 3, 64, 64))[0]] == ["backbone"]
    assert "its heads were trained at 32 px, so at --size 64 they are left out" in capsys.readouterr().err
    assert [*load_model(model, random_weights=True).represent(images)[0]] == ["backbone"]
    assert "z_equi" in load_model(model, size=32).represent(images)[0]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["backbone", "z_inv", "z_equi", "z"]),
        ({"coherence": None}, ["backbone", "z"]),
        (
            {
                "method": SIEConfig(d_equi=6, width=12),
                "coherence": None,
                "views": ViewsConfig(size=32, source=32, path="poses"),
            },
            ["backbone", "z_inv", "z_equi", "z"],
        ),
        ({"method": SERConfig(width=12, output=6, layer=1, hidden=8), "coherence": None}, ["backbone", "z"]),
        (
            {
                "encoder": dataclasses.replace(VIT, args={**VIT.args, "num_heads": 3}),
                "method": DINOv2Config(prototypes=20, hidden=12, bottleneck=6, shared_head=False),
                "coherence": CoherenceConfig(d_equi=8, split="head"),
            },
            ["backbone", "z_equi"],
        ),
    ],
)
def test_heads_of_every_kind_come_back(changes, names, tmp_path, images):
    config = small_config(tmp_path, **changes)
    learner = build_learner(config).eval()
    assert has_own_heads(config, learner)
    export_encoder(learner.encoder, tmp_path, 32, pool=learner.pool, heads=True)
    write_shared(config, learner, tmp_path)
    written = [*load_file(tmp_path / "heads.safetensors")]
    in_method = config.coherence is not None and config.coherence.split == "head"
    assert all(name.startswith("method.head." if in_method else "head.") for name in written)  # and of no teacher
    loaded = load_model(f"local-dir:{tmp_path}")
    assert same(loaded, of_run(tmp_path, config, learner), images) == names
    assert loaded.predictor is None  # whose weights are not shared


def without(folder, name):
    tensors = load_file(folder / "heads.safetensors")
    del tensors[name]
    save_file(tensors, folder / "heads.safetensors")


def shaped(folder, name):
    tensors = load_file(folder / "heads.safetensors")
    save_file({**tensors, name: torch.zeros(3)}, folder / "heads.safetensors")


def said(folder, *places):
    """Change values of the file: a place and a value; the value None removes it."""
    values = json.loads((folder / "equicoherence.json").read_text())
    for place, value in places:
        *sections, name = place.split(".")
        part = values
        for section in sections:
            part = part[section]
        part[name] = value
        if value is None:
            del part[name]
    (folder / "equicoherence.json").write_text(json.dumps(values))


NORM = "head.equivariant.norms.0.weight"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda f: without(f, NORM),
            rf"its equicoherence\.json \(1 tensors, such as {NORM}, which is missing",
        ),
        (lambda f: shaped(f, NORM), rf"such as {NORM}, of shape \(3,\) where \(16,\) is asked for\)"),
        (lambda f: shaped(f, "task.more"), r"such as task\.more, which nothing asks for\)"),
        (
            lambda f: said(f, ("coherence.d_equi", 9)),
            r"do not fit its equicoherence\.json \(\d+ tensors",
        ),
        (
            lambda f: said(f, ("method.kind", "Ancor")),
            r"method\.kind 'Ancor' is unknown; is it 'Anchor'",
        ),
        (lambda f: said(f, ("hook", "x.py")), r"does not know \(field 'hook' is unknown"),
        (
            lambda f: said(f, ("coherence.split", "code")),
            r"coherence\.split cannot be 'code'; one of linear",
        ),
        (lambda f: said(f, ("encoder.name", "hf-hub:a/b")), r"encoder\.name is 'hf-hub:a/b', which timm does not have"),
        (lambda f: said(f, ("encoder.args", {"checkpoint_path": "x"})), "encoder args may not hold checkpoint_path"),
        (lambda f: said(f, ("coherence.layers", [9])), r"equicoherence\.json asks for what cannot be built: .*9"),
        (lambda f: said(f, ("views.size", None), ("d", None)), r"is damaged \(it does not say d, views\.size\): get"),
        (lambda f: (f / "equicoherence.json").write_text("{"), r"equicoherence\.json is damaged \(it is no JSON"),
        (
            lambda f: (f / "heads.safetensors").write_bytes(b"PK"),
            r"heads\.safetensors is damaged \(it is no saf",
        ),
        (lambda f: (f / "heads.safetensors").unlink(), r"says in its config\.json that it has heads, but has no heads"),
        (lambda f: (f / "equicoherence.json").unlink(), "that it has heads, but has no equicoherence.json: get the"),
    ],
)
def test_bad_files_are_named_in_one_sentence(exported, tmp_path, spoil, sentence):
    folder = shutil.copytree(exported, tmp_path / "folder")
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
        load_model(f"local-dir:{folder}")
    assert "\n" not in str(caught.value)


def test_a_repository_that_lacks_what_it_says_it_has_is_named(exported, tmp_path):
    with hub_at(tmp_path) as hub:
        hub.add(NAME, {name: (exported / name).read_bytes() for name in FILES if name != "heads.safetensors"})
        with pytest.raises(FileNotFoundError, match=rf"{MODEL}: its config\.json says that it has heads, but the rep"):
            load_model(MODEL)
