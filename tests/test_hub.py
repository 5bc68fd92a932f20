"""A run's encoder on the Hub: what goes there, what comes back, and what is said where it does not."""

import dataclasses
import json
import re
import socket
import struct
from pathlib import Path

import pytest
import timm
import torch
import yaml

from equicoherence import Encoder, load_model, push
from equicoherence.cli import main
from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation import evaluate
from equicoherence.methods.anchor import AnchorConfig
from equicoherence.model_card import model_card
from equicoherence.models.on_hub import hub_folder
from equicoherence.training.start import started
from tests.hub import hub_at
from tests.small import small_config

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how huggingface_hub uploads

DOCS = Path(__file__).resolve().parents[1] / "docs"
NAME = "someone/small"
MODEL = f"hf-hub:{NAME}"


@pytest.fixture
def hub(tmp_path):
    with hub_at(tmp_path) as hub:
        yield hub


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_what_is_pushed_is_loaded_back_in_timm_and_here_with_the_same_features(run, hub, images):
    wanted = load_model(run).represent(images)[0]["backbone"]
    assert push(run, NAME, license="cc-by-4.0") == MODEL
    files = ["README.md", "config.json", "equicoherence.json", "heads.safetensors", "model.safetensors"]
    assert sorted(hub.files(NAME)) == [".gitattributes", *files]
    encoder = Encoder.from_pretrained(MODEL)
    assert not encoder.training
    assert torch.equal(encoder(images).pooled(encoder.pool), wanted)
    loaded = load_model(MODEL)
    assert torch.equal(loaded.represent(images)[0]["backbone"], wanted)
    assert (loaded.name, loaded.size, loaded.source) == (MODEL, 32, 32)
    model = timm.create_model(MODEL, pretrained=True).eval()
    assert torch.allclose(model((images - encoder.mean) / encoder.std), wanted, atol=1e-6)
    config = small_config(run, encoder=dataclasses.replace(small_config(run).encoder.starting_from(MODEL)))
    begun, start = started(config)
    assert torch.equal(start.eval()(images).pooled(start.pool), wanted)
    assert (begun.encoder.name, begun.encoder.weights) == ("resnet18", MODEL)


def test_the_card_says_what_it_is_and_names_no_path_of_this_machine(folder, copied, hub):
    run = copied()
    push(run, NAME)
    _, head, text = hub.files(NAME)["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "timm"
    assert "license" not in yaml.safe_load(head)  # none is invented
    assert "None is given" in text
    assert "have a licence of their own" not in text  # random weights have none
    assert "None yet: the run was not scored." in text
    assert "An image encoder, resnet18, 0.0" in text
    assert str(folder.parent) not in text
    recipe = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert recipe == yaml.safe_load((run / "config.yaml").read_text()) | {"data": folder.name}

    evaluate(run, tasks=["knn"], data=str(folder), settings={"knn": {"limit": 40}})
    push(run, NAME, license="mit", overwrite=True)
    _, head, text = hub.files(NAME)["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "mit"
    value = next(iter(json.loads((run / "scores.json").read_text())["parts"].values()))["rows"][0]["value"]
    assert f"| knn top-1 | backbone | {100 * value:.1f} % |" in text
    assert "| knn top-1 | z_inv | " in text  # whose head is uploaded too
    assert str(folder.parent) not in text
    assert len(hub.repositories[NAME]) == 3  # made, and two commits


def test_every_command_that_takes_a_model_takes_one_of_the_hub(run, folder, hub, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    push(run, NAME)
    assert main(["embed", MODEL, "--data", str(folder), "--out", "f.npz", "--limit", "4"]) == 0
    scored = ["--tasks", "knn", "--limit", "20", "--no-controls", "--data", str(folder)]
    assert main(["evaluate", MODEL, *scored]) == 0
    assert (tmp_path / "results" / "hf-hub-someone-small-data" / "scores.json").is_file()
    small = ["--views.size", "32", "--optim.batch-size", "16", "--max-steps", "1", "--threads", "1"]
    trained = ["--data", str(folder), "--encoder.weights", MODEL, "--out", "on", *small]
    assert main(["pretrain", "vicreg-tiny", *trained]) == 0
    assert yaml.safe_load((tmp_path / "on" / "config.yaml").read_text())["encoder"]["weights"] == MODEL


def test_the_command_pushes_and_says_how_to_use_it(run, hub, capsys):
    assert main(["export", str(run), "--push", NAME, "--private", "--license", "apache-2.0"]) == 0
    assert capsys.readouterr().out == f"{MODEL} done; use it: equicoherence evaluate {MODEL} --data DIR\n"
    assert NAME in hub.hidden
    assert main(["export", str(run)]) == 2
    assert main(["export", str(run), "--push", NAME, "--to", "timm"]) == 2
    assert main(["export", str(run), "--push", NAME, "--out", "somewhere"]) == 2
    assert main(["export", str(run), "--to", "timm", "--license", "mit"]) == 2
    said = capsys.readouterr().err
    assert said.count("export needs either --to timm, onnx, torch or program, or --push OWNER/NAME") == 2
    assert "--out does not apply with --push; leave it out" in said
    assert "--license does not apply with --to; leave it out" in said


def test_what_cannot_be_pushed_is_refused_in_one_sentence(run, hub, tmp_path, monkeypatch):
    hub.add("someone/taken", {"notes.md": b"mine"})
    with pytest.raises(FileExistsError, match=r"someone/taken is taken: .*1 files, such as notes\.md; give another"):
        push(run, "someone/taken")
    hub.add("someone/empty", {".gitattributes": b""})
    push(run, "someone/empty")  # as one that was made by hand
    with pytest.raises(ValueError, match="--push takes OWNER/NAME, got 'small'"):
        push(run, "small")
    with pytest.raises(PermissionError, match=r"hf-hub:other/small: the Hub refuses access \(403\)"):
        push(run, "other/small")
    with pytest.raises(FileNotFoundError, match=r"no config\.yaml"):
        push(tmp_path, NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PermissionError, match=r"the Hub refuses access \(401\), so the token is wrong"):
        push(run, NAME)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PermissionError, match=r"\(401\).*log in with `hf auth login`, or set HF_TOKEN"):
        push(run, NAME)
    assert NAME not in hub.repositories


def test_what_is_to_be_private_is_not_put_into_a_public_repository(run, hub):
    hub.add("someone/open", {".gitattributes": b""})
    with pytest.raises(ValueError, match=r"--private: someone/open is a public repository.*make it private on the Hub"):
        push(run, "someone/open", private=True)
    assert len(hub.repositories["someone/open"]) == 1
    push(run, NAME, private=True)
    push(run, NAME, private=True, overwrite=True)  # which is a private one
    assert NAME in hub.hidden


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("timm:resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("hf-hub:someone/small@main", "hf-hub:someone/small@main"),
        ("timm:hf-hub:someone/small", "timm:hf-hub:someone/small"),
        ("timm:local-dir:/home/me/secret/encoder", "encoder"),
        ("local-dir:~/secret/encoder/", "encoder"),
        ("local-dir:encoder", "encoder"),
        ("~/secret/w.pt@resnet18", "w.pt@resnet18"),
        ("secret/runs/first", "first"),
        ("/home/me/secret", "secret"),
    ],
)
def test_the_card_tells_of_a_path_the_last_name_alone(run, place, told):
    config = small_config(run)
    encoder = dataclasses.replace(config.encoder, name=place, weights=place, channels=5)
    config = dataclasses.replace(config, data=place, encoder=encoder)
    text = model_card(run, config, MODEL, parameters=1, widths={"backbone": 16})
    assert f"An image encoder, {told}, 0.00 million" in text
    assert f"It started from {told}. " in text
    assert f"The weights it started from, {told}, have a licence of their own." in text
    recipe = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert (recipe["data"], recipe["encoder"]["name"], recipe["encoder"]["weights"]) == (told, told, told)
    assert not re.search("home|secret/|~", text)
    assert "images (B, 5, 32, 32)" in text


@pytest.mark.parametrize(
    ("widths", "heads"),
    [
        ({"backbone": 16, "z": 8}, "z"),
        ({"backbone": 16, "z_inv": 8, "z_equi": 8, "z": 16}, "z_inv and z_equi"),
        ({"backbone": 16}, None),
    ],
)
def test_the_card_says_what_the_heads_compute(run, widths, heads):
    text = model_card(run, small_config(run), MODEL, parameters=1, widths=widths)
    assert ("heads.safetensors" in text) is (heads is not None)
    if heads is not None:
        assert f"`heads.safetensors` beside the encoder computes {heads}; timm does not read it." in text


@pytest.mark.parametrize(
    ("encoder", "changes", "sentences"),
    [
        ({}, {}, ["It was trained from random weights with SimCLR and the auxiliary task, which keeps what"]),
        ({}, {"coherence": None}, ["It was trained from random weights with SimCLR (recipe small)."]),
        ({"pretrained": True}, {}, ["It started from resnet18. All of it was trained further with SimCLR and"]),
        ({"weights": "d/w.pt"}, {}, ["It started from w.pt. All of it was trained further with SimCLR and the aux"]),
        ({"weights": "d/w.pt", "train": "last:2"}, {}, ["Its last 2 layers, and what follows, were trained further"]),
        (
            {"weights": "w.pt", "train": "last:1"},
            {},
            ["Its last layer, and what follows it, were trained further"],
        ),
        ({"weights": "w.pt", "train": "lora:4"}, {}, ["LoRA of rank 4 on its linear layers of attention was trained"]),
        ({"weights": "w.pt", "train": "lora-all:4"}, {}, ["of attention and of MLPs was trained with SimCLR"]),
        (
            {"weights": "d/w.pt", "train": "head"},
            {"method": AnchorConfig()},
            [
                "Its weights are those of w.pt, unchanged: nothing of the encoder was trained. What was trained is a "
                "head that computes z_equi from its tokens, with the auxiliary task",
                "Training received no transformation parameters between the views, and no labels of images.",
            ],
        ),
        (
            {},
            {"coherence": CoherenceConfig(d_equi=8, decoder="oracle")},
            [
                "with SimCLR and a regression of the transformation parameters (recipe small).",
                "Training received the transformation parameters between the views, and no labels of images.",
            ],
        ),
        (
            {},
            {"coherence": CoherenceConfig(d_equi=8, decoder="render+oracle")},
            [
                "the auxiliary task, which keeps what transformations do to an image, and a regression of the "
                "transformation parameters (recipe small).",
                "Training received the transformation parameters between the views, and no labels of images.",
            ],
        ),
    ],
)
def test_the_card_says_what_was_trained(run, encoder, changes, sentences):
    encoder = dataclasses.replace(small_config(run).encoder, **encoder)
    config = small_config(run, encoder=encoder, **changes)
    text = model_card(run, config, MODEL, parameters=1, widths={"backbone": 16})
    for sentence in sentences:
        assert sentence in text
    assert ("unchanged" in text) is (encoder.train == "head" or encoder.train.startswith("last"))
    assert ("Anchor" in text.split("## Recipe")[0]) is False


def test_what_cannot_be_fetched_is_refused_in_one_sentence(run, hub, monkeypatch, capsys):
    push(run, NAME, private=True)
    for model, sentence in {
        "hf-hub:someone/gone": "the Hub has no such repository, or it is private; check the name, or log in",
        f"{MODEL}@{'0' * 40}": "the repository has no such revision; give another, or none",
        "hf-hub:a/b/c": "write OWNER/NAME",
    }.items():
        assert main(["embed", model, "--data", "objects", "--out", "never.npz"]) == 2
        assert sentence in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PermissionError, match=r"\(401\), so the token is wrong"):
        load_model(MODEL)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(FileNotFoundError, match="or it is private"):
        Encoder.from_pretrained(MODEL)


def test_nothing_but_safetensors_is_asked_for_and_no_code_of_a_repository_runs(run, hub, monkeypatch):
    push(run, NAME)
    about = json.loads(hub.files(NAME)["config.json"])
    assert about.pop("heads") is True
    config = json.dumps(about).encode()  # a model of timm's that says of no heads
    pickle = b"cos\nsystem\n(S'touch ran'\ntR."
    hub.add("someone/pickled", {"config.json": config, "pytorch_model.bin": pickle, "modeling.py": b"1 / 0"})
    hub.asked.clear()
    with pytest.raises(FileNotFoundError, match=r"lacks config\.json or model\.safetensors.*without running code"):
        load_model("hf-hub:someone/pickled")
    asked = {path.rsplit("/", 1)[1] for _, path in hub.asked if path != "/"}  # which asks whether it is there
    assert asked == {"config.json", "model.safetensors"}
    hub.add("someone/odd", {"config.json": config, "model.safetensors": struct.pack("<Q", 2) + b"{}"})
    with pytest.raises(ValueError, match=r"the weights in .* cannot be read, or do not fit its config\.json"):
        load_model("hf-hub:someone/odd")


def test_what_was_fetched_once_is_there_without_the_hub(run, hub, images, monkeypatch):
    from huggingface_hub import constants

    push(run, NAME)
    wanted = load_model(MODEL).represent(images)[0]["backbone"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
        )
        hub_folder.cache_clear()
        assert torch.equal(load_model(MODEL).represent(images)[0]["backbone"], wanted)
        with pytest.raises(ConnectionError, match="hf-hub:someone/other: the Hub cannot be reached, and its cache"):
            load_model("hf-hub:someone/other")
        with pytest.raises(ConnectionError, match="hf-hub:someone/other: the Hub cannot be reached"):
            push(run, "someone/other")


def test_the_code_on_the_page_runs(copied, hub, images, monkeypatch, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    copied().rename(runs / "mine")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "models.md").read_text(), flags=re.DOTALL)
    names = {"images": images}
    exec(code, names)  # the page's own words
    assert names["features"].patches.shape == (2, 16, 16)


def test_from_pretrained_takes_files_and_folders_and_quotes_what_it_does_not(run, tmp_path, images):
    wanted = load_model(run).represent(images)[0]["backbone"]
    encoder = Encoder.from_pretrained(run)
    with torch.no_grad():
        assert torch.equal(encoder(images).pooled("mean"), wanted)
    small = timm.create_model("test_resnet", num_classes=0)
    torch.save(small.state_dict(), tmp_path / "w.pt")
    taken = Encoder.from_pretrained(f"{tmp_path / 'w.pt'}@test_resnet")
    assert torch.equal(taken.model.state_dict()["conv1.0.weight"], small.state_dict()["conv1.0.weight"])
    with pytest.raises(ValueError, match="model 'resnet18' is neither timm:NAME, nor hf-hub:OWNER/NAME"):
        Encoder.from_pretrained("resnet18")
