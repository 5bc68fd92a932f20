"""Watching: what is measured, by which rule a run ends, and what it ends with."""

import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from equicoherence.data import Loader, open_images
from equicoherence.evaluation import load_model
from equicoherence.methods.anchor import AnchorConfig
from equicoherence.models import Encoder
from equicoherence.neighbours import neighbours_right
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.training import training_section
from equicoherence.training import EncoderConfig, Interrupted, NotFinite, OptimConfig, load_run, metrics, pretrain
from equicoherence.training.checkpoint import checkpoints
from equicoherence.training.watch import Measurement, Watch, watched_images
from tests.small import ENCODER, picture_folder, small_config, with_weights

VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return with_weights(VIT, tmp_path_factory.mktemp("weights") / "w.safetensors")


def _config(data, weights, **changes):
    """Return a run of six steps that is looked at after every other one."""
    changes = {"keep": 0.5, "watch_every": 2, "checkpoint_every": 100, "encoder": weights, **changes}
    return small_config(data, **changes)


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _watched(run):
    return [line for line in _lines(run) if "watched_lost" in line]


def _same_weights(a, b, names=("model.safetensors", "heads.safetensors")):
    for name in names:
        left, right = load_file(a / name), load_file(b / name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[k], right[k]) for k in left), name


def test_labelled_images_are_a_fixed_choice_of_some_classes_and_others_are_taken_where_labels_tell_nothing():
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(30_000) < 0.5, rng.integers(0, 500, 30_000), -1)
    images, by_label = watched_images(labels)
    assert by_label
    assert len(images) == len(set(images)) == 2000
    assert 90 < len(set(labels[images])) <= 100  # about 20 of each
    assert labels[images].min() >= 0
    assert np.array_equal(images, watched_images(labels)[0])
    few = np.where(np.arange(300) < 99, np.arange(300) % 3, -1)
    assert watched_images(few)[1] is False
    assert watched_images(np.zeros(300, dtype=np.int64))[1] is False
    nothing, by_label = watched_images(np.full(700, -1))
    assert not by_label
    assert len(set(nothing)) == 500
    assert len(watched_images(np.full(7, -1))[0]) == 7


def test_each_image_is_classified_by_the_parts_that_it_is_not_in():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([4, 9, 11]).repeat(20)
    features = torch.randn(60, 5, generator=generator) + torch.nn.functional.one_hot(labels % 4, 5)
    right = neighbours_right(features, labels)
    unit = features / features.norm(dim=1, keepdim=True)
    for image in range(60):
        votes = dict.fromkeys((4, 9, 11), 0.0)
        others = sorted((-float(unit[image] @ unit[j]), j) for j in range(60) if j % 5 != image % 5)
        for similarity, j in others[:20]:
            votes[int(labels[j])] += float(np.exp(-similarity / 0.07))
        assert right[image] == (max(votes, key=votes.get) == labels[image])
    assert 0 < right.sum() < 60


def _watch(folder, keep=0.1):
    torch.manual_seed(0)
    encoder = Encoder(ENCODER.name, ENCODER.args)
    loader = Loader(open_images(folder, "train"), 32, threads=1)
    return encoder, Watch(encoder, "mean", loader, size=32, keep=keep, bfloat16=False)


def _weights_of(encoder):
    return {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}


def test_without_labels_it_is_the_cosine_of_each_image_to_itself_at_the_start(data):
    encoder, watch = _watch(data)
    assert not watch.labelled  # 38 images are too few
    seen = watch.measure(0, _weights_of(encoder))
    assert seen.figure == pytest.approx(1)
    assert seen.lost == pytest.approx(0, abs=1e-6)
    before, _ = watch._read()
    with torch.no_grad():
        encoder.model.conv1.weight.add_(0.1)
    seen = watch.measure(3, _weights_of(encoder))
    after, _ = watch._read()
    cosine = torch.cosine_similarity(before, after)
    assert seen.figure == pytest.approx(float(cosine.mean()), abs=1e-6)
    assert seen.lost == pytest.approx(1 - float(cosine.mean()), abs=1e-6)
    assert seen.bound == pytest.approx(seen.lost - 1.645 * float(cosine.std()) / len(cosine) ** 0.5, abs=1e-5)


def test_with_labels_it_is_k_nn_and_the_loss_is_paired_over_the_same_images(tmp_path):
    encoder, watch = _watch(picture_folder(tmp_path / "data", 80))
    start = watch.measure(0, _weights_of(encoder))
    assert watch.labelled
    first = neighbours_right(*watch._read()).float()
    assert (start.figure, start.lost) == (float(first.mean()), 0)
    torch.manual_seed(5)
    seen = watch.measure(7, _weights_of(Encoder(ENCODER.name, ENCODER.args)))
    second = neighbours_right(*watch._read()).float()
    lost = first - second
    assert lost.abs().sum() > 0
    assert seen.lost == pytest.approx(float(lost.mean()), abs=1e-6)
    assert seen.bound == pytest.approx(float(lost.mean() - 1.645 * lost.std() / len(lost) ** 0.5), abs=1e-6)


def test_a_state_is_good_by_what_was_measured_and_lost_by_what_is_certain(data):
    _, watch = _watch(data, keep=0.1)
    for lost, bound, good, gone in ((0.1, 0.05, True, False), (0.13, 0.09, False, False), (0.2, 0.11, False, True)):
        seen = Measurement(5, 0.5, lost, bound)
        assert (watch.is_kept(seen), watch.is_lost(seen)) == (good, gone)


@pytest.fixture(scope="module")
def free(data, weights, tmp_path_factory):
    """Return a run that is watched, and may lose what it will."""
    return pretrain(_config(data, weights, keep=0.999), tmp_path_factory.mktemp("free") / "run")


def test_watching_changes_no_bit_of_what_is_trained(free, data, weights, tmp_path):
    plain = pretrain(_config(data, weights, keep=0.0), tmp_path / "plain")
    _same_weights(plain, free)
    assert [line["step"] for line in _watched(free)] == [0, 2, 4, 6]
    assert not _watched(plain)
    losses = [[line["loss"] for line in _lines(run) if "loss" in line] for run in (plain, free)]
    assert losses[0] == losses[1]


def test_lora_is_watched_before_it_is_merged(data, weights, tmp_path):
    method, lora = AnchorConfig(), dataclasses.replace(weights, train="lora:2")
    optim = OptimConfig(epochs=1, batch_size=16, lr=0.1, warmup=0.0)
    run = pretrain(_config(data, lora, method=method, optim=optim), tmp_path / "run")
    assert [line["step"] for line in _watched(run)] == [0, 2]
    assert _watched(run)[-1]["watched_lost"] > 0
    assert load_file(weights.weights).keys() == load_file(run / "model.safetensors").keys()


def _falling(data, weights, **changes):
    """Return a run that loses little while its rate is low, and more as it rises, up to its end."""
    optim = OptimConfig(epochs=6, batch_size=16, lr=0.1, warmup=1.0)
    return _config(data, weights, optim=optim, keep=0.05, watch_every=1, coherence=None, **changes)


@pytest.fixture(scope="module")
def fallen(data, weights, tmp_path_factory):
    return pretrain(_falling(data, weights), tmp_path_factory.mktemp("fallen") / "run")


def test_a_run_that_loses_too_much_ends_with_its_last_good_state(fallen, data, weights, tmp_path, capsys):
    run = fallen
    seen = _watched(run)
    last = seen[-1]
    assert 2 < last["step"] < 12
    assert last["watched_lost_at_least"] > 0.05
    assert all(line["watched_lost_at_least"] <= 0.05 for line in seen[:-1])
    good = max(line["step"] for line in seen if line["watched_lost"] <= 0.05)
    ended = _lines(run)[-1]
    assert (ended["step"], ended["ends_with"]) == (last["step"], good)
    assert good > 0
    assert f"so the run ends with its state after step {good}" in ended["stopped"]
    state = torch.load(run / "checkpoints" / f"step-{good:08d}.pt", weights_only=True)["learner"]
    learner = load_run(run)[1]
    assert all(torch.equal(state[name], tensor) for name, tensor in learner.state_dict().items())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(load_model(run).encoder(images).patches, learner.encoder(images).patches)
    page = str(training_section({"small": [read_run(run)]}))
    assert ended["stopped"] in page
    assert f"Curve of lost since the start over training steps. Last values: small {last['watched_lost']:.4g}" in page
    assert "ends_with" not in page
    again = tmp_path / "again"  # and a finished run that is resumed ends so again
    shutil.copytree(run, again)
    pretrain(_falling(data, weights), again, resume=True)
    assert f"{again}: {ended['stopped']}\n" in capsys.readouterr().err
    _same_weights(run, again)
    assert _lines(again)[-1] == ended


def test_the_anchor_holds_what_a_run_without_it_loses(free, data, weights, tmp_path):
    held = pretrain(_config(data, weights, keep=0.999, method=AnchorConfig()), tmp_path / "held")
    assert _watched(held)[-1]["watched_lost"] < 0.5 * _watched(free)[-1]["watched_lost"]


def test_an_interrupted_run_ends_as_one_that_was_not(fallen, data, weights, tmp_path, monkeypatch):
    config, stopped = _falling(data, weights), _lines(fallen)[-1]["step"]
    original, calls = metrics.Metrics.add, []

    def add(self, *args):
        calls.append(1)
        if len(calls) == stopped - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, *args)

    monkeypatch.setattr(metrics.Metrics, "add", add)
    with pytest.raises(Interrupted, match=f"step {stopped - 1} of"):
        pretrain(config, tmp_path / "run")
    run = pretrain(config, tmp_path / "run", resume=True)
    _same_weights(fallen, run)
    left, right = (
        [{k: v for k, v in line.items() if "second" not in k} for line in _lines(each)] for each in (fallen, run)
    )
    assert left == right


def test_a_loss_that_breaks_ends_the_run_with_its_last_good_state_and_without_watching_with_an_error(
    data, weights, tmp_path, monkeypatch
):
    from equicoherence.training import loop

    original, calls = loop._accumulate, []

    def breaking(run, batch):
        output, losses, parts = original(run, batch)
        calls.append(1)
        if len(calls) == 5:
            losses = {name: value * torch.nan for name, value in losses.items()}
        return output, losses, parts

    monkeypatch.setattr(loop, "_accumulate", breaking)
    config = _config(data, weights, keep=0.999, log_every=1)
    run = pretrain(config, tmp_path / "run")
    assert _lines(run)[-1]["ends_with"] == 4
    assert _lines(run)[-1]["stopped"].startswith("contrastive is nan at step 5; so the run ends with its state after")
    state = torch.load(checkpoints(run)[0], weights_only=True)
    assert state["step"] == 4
    assert all(torch.equal(state["learner"][k], v) for k, v in load_run(run)[1].state_dict().items())
    calls.clear()
    with pytest.raises(NotFinite, match="contrastive is nan at step 5"):
        pretrain(dataclasses.replace(config, keep=0.0), tmp_path / "unwatched")


def test_where_nothing_good_was_trained_the_run_ends_with_what_it_began_with(data, weights, tmp_path, capsys):
    optim = OptimConfig(epochs=3, batch_size=16, lr=1.0, warmup=0.0)
    run = pretrain(_config(data, weights, keep=0.001, optim=optim), tmp_path / "run")
    assert _lines(run)[-1]["ends_with"] == 0
    assert "; so the run ends with what it began with\n" in capsys.readouterr().err
    given = load_file(weights.weights)
    assert all(torch.equal(given[name], tensor) for name, tensor in load_file(run / "model.safetensors").items())


def test_what_cannot_be_kept_is_refused(data, weights, tmp_path):
    with pytest.raises(ValueError, match=r"keep must be a share in \[0, 1\), got 1"):
        _config(data, weights, keep=1.0)
    with pytest.raises(ValueError, match="watch_every must be at least 1, got 0"):
        _config(data, weights, watch_every=0)
    with pytest.raises(ValueError, match=r"keep 0\.5 holds .* vit_tiny_patch16_224 starts from random weights"):
        pretrain(_config(data, VIT), tmp_path / "run")
    assert not (tmp_path / "run").exists()
