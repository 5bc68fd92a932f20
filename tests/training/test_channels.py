"""Encoders of images with other than three channels: trained, exported and scored as those of pictures are."""

import dataclasses

import numpy as np
import pytest
import timm
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation.run import evaluate
from equicoherence.exporting import export
from equicoherence.models import Encoder
from equicoherence.reporting.page import report
from equicoherence.training import AugmentationConfig, EncoderConfig, load_run, pretrain
from equicoherence.training.config_file import from_dict, to_dict
from equicoherence.training.start import started
from tests.small import ENCODER, small_config


def array_folder(root, channels, white=255):
    """Write two classes of arrays: the last channel tells them apart."""
    rng, kind = np.random.default_rng(0), np.uint8 if white == 255 else np.uint16
    for number in range(48):
        values = np.kron(rng.random((channels, 8, 8)), np.ones((1, 4, 4)))
        values[-1] *= 0.2 if number % 2 else 1
        folder = root / ("dark" if number % 2 else "bright")
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{number}.npy", (values * white).astype(kind))
    return root


def _check_page(run, folder):
    """Check that all that a page shows of a run is drawn from its images, none kept or left out."""
    text = report([run], folder / "report.html").read_text(encoding="utf-8")
    assert 'id="path"' in text
    assert 'id="turn"' in text
    assert "cannot be" not in text


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("five")
    data = array_folder(root / "data", 5, white=65535)
    task = CoherenceConfig(d_equi=8, decoder="render+cross-attention+conv")
    encoder = dataclasses.replace(ENCODER, channels=5)
    return pretrain(small_config(data, encoder=encoder, coherence=task, max_steps=2), root / "run")


def test_a_run_on_five_deep_channels_is_scored_and_exported(run, tmp_path):
    config, learner = load_run(run)
    assert config.encoder.channels == learner.encoder.channels == 5
    assert learner.encoder.mean.flatten()[3:].tolist() == pytest.approx([np.mean([0.485, 0.456, 0.406])] * 2)
    scores = evaluate(
        run,
        tasks=["transformation", "knn"],
        settings={"transformation": {"transformations": ("rotation",), "probes": ("linear",), "train": 8, "test": 4}},
        out=tmp_path / "scores",
        controls=False,
    )
    found = {(part["task"], part["variant"]): part["rows"] for part in scores["parts"].values()}
    assert {key[0] for key in found} == {"transformation", "knn"}
    assert any(row["metric"] == "noise_r2" or "noise" in row["metric"] for row in found["transformation", "rotation"])
    export(run, to="timm", out=tmp_path / "timm")
    model = timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True).eval()
    images = torch.rand(2, 5, 32, 32)
    features = learner.encoder(images).pooled(learner.pool)
    normalised = (images - learner.encoder.mean) / learner.encoder.std
    assert torch.allclose(model(normalised), features, atol=1e-4)
    _check_page(run, tmp_path)
    with np.load(run / "samples.npz", allow_pickle=False) as samples:
        assert samples["v1"].shape[-1] == samples["decoded"].shape[-1] == 3  # the first three, to look at


def test_a_run_of_five_channels_is_started_from(run):
    config = small_config(run.parent / "data", encoder=EncoderConfig("", {}, weights=str(run)))
    config, encoder = started(config)
    assert (config.encoder.channels, encoder.channels) == (5, 5)
    assert "in_chans" not in config.encoder.args
    assert from_dict(to_dict(config)) == config
    with pytest.raises(ValueError, match=r"encoder.channels is 4, but encoder.weights .* is of 5 channels"):
        started(
            dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, channels=4, mean=None, std=None))
        )


def test_other_images_are_refused_with_what_to_give(run, folder, tmp_path):
    data = run.parent / "data"
    with pytest.raises(ValueError, match=r"has images of 5 channels, but the encoder takes 3; give --encoder"):
        pretrain(small_config(data), tmp_path / "three")
    assert not (tmp_path / "three").exists()
    with pytest.raises(ValueError, match=r"has images of 3 channels, but .*run takes 5; give other images"):
        evaluate(run, tasks=["knn"], data=folder, out=tmp_path / "scores")


def test_held_out_images_of_other_channels_are_refused_too(run, tmp_path):
    array_folder(tmp_path / "data" / "train", 5)
    array_folder(tmp_path / "data" / "val", 4)
    data, message = tmp_path / "data", r"the held-out side of .*data.* has images of 4 channels, but .* takes 5"
    with pytest.raises(ValueError, match=message):
        evaluate(run, tasks=["knn"], data=data, out=tmp_path / "scores")
    encoder = dataclasses.replace(ENCODER, channels=5)
    with pytest.raises(ValueError, match=message):
        pretrain(small_config(data, encoder=encoder, watch="knn", max_steps=1), tmp_path / "run")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "tf_efficientnet_lite0"])
def test_any_family_takes_more_channels(name):
    encoder = Encoder(name, {"in_chans": 6}, any_size=True).eval()
    assert encoder.channels == 6
    images = torch.rand(1, 6, 64, 64)
    other = torch.cat([images[:, :5], 1 - images[:, 5:]], dim=1)
    with torch.no_grad():
        assert not torch.allclose(encoder(images).patches, encoder(other).patches)  # the sixth is seen


def test_colors_of_two_channels_are_refused_with_what_to_give(tmp_path):
    encoder = dataclasses.replace(ENCODER, channels=2)
    with pytest.raises(ValueError, match=r"--views.first.jitter-probability 0 --views.first.grayscale 0 --view"):
        small_config(tmp_path, encoder=encoder)
    data = array_folder(tmp_path / "data", 2)
    plain = AugmentationConfig(jitter_probability=0, grayscale=0)
    views = dataclasses.replace(small_config(data).views, first=plain, second=plain)
    with pytest.raises(ValueError, match=r"give --views.path se2$"):
        small_config(data, encoder=encoder, views=dataclasses.replace(views, path="se2+color"))
    with pytest.raises(ValueError, match=r"give --watch knn,rotation$"):
        small_config(data, encoder=encoder, views=views, watch="knn,color,rotation,all")
    run = pretrain(small_config(data, encoder=encoder, views=views, max_steps=1), tmp_path / "run")
    assert load_run(run)[1].encoder.channels == 2
    _check_page(run, tmp_path)
    with pytest.raises(ValueError, match="color, all needs images of three channels; give --transformations"):
        evaluate(run, tasks=["transformation"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 1}, r"encoder.channels must be 2 or more \(gray images count as 3, all alike\), got 1"),
        ({"args": {"in_chans": 5}}, "encoder.args holds in_chans: give --encoder.channels"),
        ({"channels": 4, "mean": (0.5, 0.5, 0.5)}, "mean must hold a number for each of the 4 channels"),
    ],
)
def test_channels_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ENCODER, **changes)
