"""Figures of held-out images where the encoder is frozen: they are of the head, and on in `adapt`."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation import load_model
from equicoherence.recipes import recipe
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.training import training_section
from equicoherence.training import pretrain
from equicoherence.training.checkpoint import checkpoint_of, load_checkpoint
from equicoherence.training.head_copy import ROOM, HeadCopy
from equicoherence.training.online import allowed
from tests.small import head_config, picture_folder

TASK = CoherenceConfig(d_equi=8, decoder="render", layers=(2, 1), split="conv", width=8)
FIELDS = ["held_out_knn_z_equi", "held_out_knn_joined", "held_out_rotation_z_equi", "held_out_rotation_joined"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def config(folder):
    data = picture_folder(folder / "data", 80)
    config = head_config(data, folder / "w.safetensors", coherence=TASK, max_steps=3, watch="auto")
    return dataclasses.replace(config, watch_every=2, optim=dataclasses.replace(config.optim, lr=1e-2))


@pytest.fixture(scope="module")
def run(config, folder):
    return pretrain(config, folder / "run")


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_head_is_measured_from_the_start_and_the_page_shows_it(run):
    lines = [line for line in _lines(run) if FIELDS[0] in line]
    assert [line["step"] for line in lines] == [0, 2, 3]
    assert [field for field in lines[0] if field.startswith("held_out_")] == FIELDS
    assert lines[0]["held_out_rotation_z_equi"] != lines[-1]["held_out_rotation_z_equi"]
    page = str(training_section({"small": [read_run(run)]}))
    assert "R2 of rotation from z_equi, held-out images" in page
    assert "k-NN from [features, z_equi], held-out images" in page


def test_measuring_changes_no_bit_of_what_is_trained(run, config, folder):
    plain = pretrain(dataclasses.replace(config, watch="none"), folder / "plain")
    weights, others = (load_checkpoint(checkpoint_of(path, 3))["learner"] for path in (run, plain))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.mark.parametrize("room", [0, ROOM])
def test_what_is_read_is_what_evaluation_reads_with_the_features_kept_or_computed_anew(run, room):
    model = load_model(run)
    views = torch.randint(256, (70, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, _ = model.represent(views.float() / 255)
    copy = HeadCopy(model.encoder, model.head, model.pool, bfloat16=False, room=room)
    prepared = copy.prepare(views)
    assert isinstance(prepared, torch.Tensor) == (not room)
    assert (copy.room < room) == bool(room)
    found = copy.representations(prepared)
    assert list(found) == ["z_equi", "joined"]
    for name, features in found.items():
        torch.testing.assert_close(features, wanted[name])
    copy.load({f"head.{name}": 2 * weight for name, weight in model.head.state_dict().items()})
    assert not torch.allclose(copy.representations(prepared)["z_equi"], wanted["z_equi"])


def test_only_so_much_is_kept_as_there_is_room_for(run):
    model = load_model(run)
    views = torch.zeros(70, 3, 32, 32, dtype=torch.uint8)
    whole = HeadCopy(model.encoder, model.head, model.pool, bfloat16=False)
    kept = whole.prepare(views)
    used = sum(tensor.nbytes for part in kept for tensor in part.tensors)
    assert whole.room == ROOM - used
    exact = HeadCopy(model.encoder, model.head, model.pool, bfloat16=False, room=used)
    assert isinstance(exact.prepare(views), list)
    assert isinstance(exact.prepare(views), torch.Tensor)  # for these there is no room left


def test_what_the_images_allow_is_measured_and_too_few_are_no_error(config, folder, capsys):
    labels = np.arange(100) % 4
    assert allowed(labels, 500) == ["knn", "rotation"]
    assert allowed(np.full(100, -1), 500) == ["rotation"]
    assert allowed(np.zeros(100, dtype=np.int64), 500) == ["rotation"]
    assert allowed(labels[:19], 500) == allowed(labels, 19) == []
    few = dataclasses.replace(config, data=str(picture_folder(folder / "few", 30)), max_steps=1)
    lines = _lines(pretrain(few, folder / "short"))
    assert not any(field.startswith("held_out_") for line in lines for field in line)
    assert "nothing is watched during training" in capsys.readouterr().err


def test_adapt_measures_by_itself():
    assert {recipe(f"adapt-{size}").watch for size in ("tiny", "small", "large")} == {"auto"}
