"""Trackers get what a run writes, pictures of what it decodes, and its configuration; without one nothing starts."""

import dataclasses
import importlib.util
import json
import os
import shutil
import sys

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from equicoherence.data import TooManyBadImages, batch_indices, open_images
from equicoherence.finite import NotFinite
from equicoherence.training import OptimConfig, pretrain
from equicoherence.training.films import film_strips
from equicoherence.training.samples import take_samples
from equicoherence.training.trackers import _trackio, flat
from tests.small import picture_folder, small_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_gets_the_numbers_of_each_line_the_films_and_the_configuration(data, tmp_path):
    run = pretrain(small_config(data, max_steps=4, track="tensorboard"), tmp_path / "run")
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0}).Reload()
    lines = _lines(run)
    assert set(events.Tags()["scalars"]) == set(lines[0]) - {"step"}
    for name in events.Tags()["scalars"]:
        found = [(event.step, pytest.approx(event.value, rel=1e-5)) for event in events.Scalars(name)]
        assert found == [(line["step"], line[name]) for line in lines]
    assert [image.step for image in events.Images("film strips")] == [2, 4]
    (text,) = events.Tensors("config/text_summary")
    said = text.tensor_proto.string_val[0].decode().removeprefix("```yaml\n").removesuffix("```")
    assert yaml.safe_load(said) == yaml.safe_load((run / "config.yaml").read_text())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_trackio_gets_the_same_offline_and_a_resumed_run_goes_on_there(data, tmp_path_factory, tmp_path):
    if importlib.util.find_spec("trackio") is None:
        pytest.skip("trackio is not installed: pip install trackio")
    if "trackio" not in sys.modules:  # it reads this once
        os.environ["TRACKIO_DIR"] = str(tmp_path_factory.mktemp("trackio"))
    trackio = pytest.importorskip("trackio")
    name = f"run-{tmp_path.name}"
    config = small_config(data, max_steps=4, track="trackio")
    run = pretrain(config, tmp_path / name)
    pretrain(config, run, resume=True)  # which is finished, and adds nothing
    (found,) = [each for each in trackio.Api().runs("equicoherence") if each.name.startswith(f"{name}-")]
    assert found.name == f"{name}-{json.loads((run / 'trackers.json').read_text())['trackio']}"
    logs = trackio.sqlite_storage.SQLiteStorage.get_logs("equicoherence", found.name)
    losses = [(line["step"], line["loss"]) for line in logs if "loss" in line]
    assert losses == [(line["step"], line["loss"]) for line in _lines(run)]
    pictures = [line for line in logs if "film strips/0" in line]
    assert [line["step"] for line in pictures] == [2, 4]
    assert found.config["optim.batch_size"] == 16
    assert found.config["method.kind"] == "SimCLR"


def test_runs_of_one_folder_name_are_two_runs_of_trackio(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr("equicoherence.training.trackers._begun", begun.append)
    monkeypatch.setattr("accelerate.tracking.TrackioTracker", lambda project, name, resume: (name, resume))
    first, second = {}, {}
    for start, identities in ((0, first), (0, second), (2, first)):
        _trackio(tmp_path / "run", start, identities)
    names = [f"run-{identities['trackio']}" for identities in (first, second)]
    assert names[0] != names[1]
    assert begun == [(names[0], "never"), (names[1], "never"), (names[0], "allow")]


def test_a_run_goes_on_as_it_would_where_the_trackers_get_no_pictures(data, tmp_path, monkeypatch, capsys):
    errors = [NotFinite("features"), TooManyBadImages({"a.png": "damaged"}, 48, 0.01)]  # at either checkpoint

    def fails(learner, *others):
        learner.eval()  # as the function itself does before it looks
        if errors:
            raise errors.pop(0)
        return take_samples(learner, *others)

    plain = pretrain(small_config(data, max_steps=4), tmp_path / "plain")
    monkeypatch.setattr("equicoherence.training.parts.take_samples", fails)
    run = pretrain(small_config(data, max_steps=4, track="tensorboard"), tmp_path / "run")
    assert errors == []
    assert (run / "model.safetensors").read_bytes() == (plain / "model.safetensors").read_bytes()
    said = capsys.readouterr().err
    assert [f"step {step}: the trackers get no pictures: " in said for step in (2, 4)] == [True, True]


def test_a_bad_image_of_the_pictures_ends_a_run_where_it_would_without_them(data, tmp_path):
    folder = shutil.copytree(data, tmp_path / "data")
    source = open_images(str(folder), "train")
    shown = set(np.linspace(0, len(source) - 1, 8).astype(int).tolist())
    late = set().union(*(batch_indices(len(source), 4, 0, step).tolist() for step in (7, 8)))
    (folder / source.name(min(shown & late))).write_bytes(b"no picture")
    optim = OptimConfig(epochs=1, batch_size=4)
    config = small_config(folder, optim=optim, bad_image_tolerance=0.0, cache=0, checkpoint_every=1)
    said = []
    for track in ("none", "tensorboard"):
        with pytest.raises(TooManyBadImages) as stop:
            pretrain(dataclasses.replace(config, track=track), tmp_path / track)
        said.append(str(stop.value).replace(str(tmp_path / track), "RUN"))
    assert said[0] == said[1]


def test_a_film_strip_has_each_picture_where_it_belongs():
    def picture(value, *shape):
        return np.full((2, *shape, 4, 4, 3), value, dtype=np.uint8)

    states = [np.stack([picture(value)[:, None][:, 0] for value in values], axis=1) for values in ((30, 20), (31, 21))]
    samples = {"v1": picture(1), "base": picture(2), "v2": picture(5), "positions": np.array([0.6, 0.3])}
    strips = film_strips({**samples, "targets": states[0], "decoded": states[1]})
    assert strips.shape == (2, 8, 20, 3)
    assert strips.dtype == np.uint8
    assert strips[:, ::4, ::4, 0].tolist() == 2 * [[[1, 2, 20, 30, 5], [255, 255, 21, 31, 255]]]
    assert film_strips({**samples, "targets": states[0]}).shape == (2, 4, 20, 3)


def test_a_tracker_that_is_not_there_is_refused_before_the_run_begins(data, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else found(name))
    with pytest.raises(ImportError, match=r"^--track wandb needs wandb, which is not installed: pip install wandb$"):
        pretrain(small_config(data, track="tensorboard,wandb"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="track 'tensorbord' is unknown; is it 'tensorboard'"):
        small_config(data, track="tensorbord")


def test_a_configuration_is_flat_plain_values_for_a_tracker():
    assert flat({"a": {"b": 1, "c": {"d": None, "e": [1, 2]}}, "f": True}) == {
        "a.b": 1,
        "a.c.d": "None",
        "a.c.e": "[1, 2]",
        "f": True,
    }
