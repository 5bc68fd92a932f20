"""Training on pairs of renders: the path leads from one pose of an object to another."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.data import PosePaths, describe_images
from equicoherence.data.poses.latents import pose_change
from equicoherence.methods.augself import AugSelfConfig
from equicoherence.methods.sie import SIEConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.paths.standard import FittedTheta
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, load_run, pretrain
from equicoherence.training.feed import PoseFeed
from tests.data.poses.posed import write_tree
from tests.rendered import rendered_set
from tests.small import picture_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return rendered_set(tmp_path_factory.mktemp("renders") / "set")


def config(data, **changes) -> PretrainConfig:
    small = PretrainConfig(
        method=VICRegConfig(width=16),
        encoder=EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8], "output_stride": 8}),
        d=16,
        coherence=CoherenceConfig(d_equi=8, decoder="conv"),
        views=ViewsConfig(size=32, source=32, path="poses"),
        optim=OptimConfig(epochs=3, batch_size=32),
        data=str(data),
        log_every=1,
        max_steps=3,
    )
    return dataclasses.replace(small, **changes)


def losses(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_states_between_two_poses_are_reconstructed(data, tmp_path):
    run = pretrain(config(data), tmp_path / "run")
    assert all(np.isfinite(line["reconstruction"]) for line in losses(run))
    samples = np.load(run / "samples.npz")
    assert samples["targets"].shape == (8, 2, 32, 32, 3)
    assert samples["decoded"].shape == samples["targets"].shape
    assert np.array_equal(samples["base"], samples["v1"])
    assert list(samples["theta_names"][:4]) == ["rotation_x", "rotation_y", "rotation_z", "rotation_w"]
    assert np.allclose(np.linalg.norm(samples["theta"][:, :4], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("decoder", ["solid", "cross-attention-other+solid"])
def test_an_object_is_turned_in_space(data, tmp_path, decoder):
    run = pretrain(config(data, coherence=CoherenceConfig(d_equi=8, decoder=decoder)), tmp_path / "run")
    assert all(np.isfinite(line["reconstruction"]) for line in losses(run))
    samples = np.load(run / "samples.npz")
    assert samples["decoded"].shape == samples["targets"].shape == (8, 2 + ("+" in decoder), 32, 32, 3)


@pytest.mark.parametrize("path", ["se2", "between"])
def test_nothing_turns_in_space_where_views_are_made_of_one_image(path):
    views = ViewsConfig(size=32, source=32, path=path)
    sentence = f"solid decoder warps .* views.path poses, but views.path is {path}; give --views.path poses"
    with pytest.raises(ValueError, match=sentence):
        PretrainConfig(views=views, coherence=CoherenceConfig(decoder="solid"))


@pytest.mark.parametrize("targets", ["final", "base"])
def test_a_view_itself_needs_no_states(tmp_path, targets):
    data = rendered_set(tmp_path / "set", paths=0)
    task = CoherenceConfig(d_equi=8, decoder="cross-attention-other", targets=targets)
    run = pretrain(config(data, coherence=task), tmp_path / "run")
    assert np.load(run / "samples.npz")["targets"].shape == (8, 1, 32, 32, 3)
    with pytest.raises(ValueError, match=r"no whole pose path .* --paths"):
        pretrain(config(data), tmp_path / "other")


def test_sie_is_told_the_change_of_pose(data, tmp_path):
    run = pretrain(config(data, method=SIEConfig(d_equi=8, width=16), coherence=None), tmp_path / "run")
    assert all(line["equivariance"] > 0 for line in losses(run))


@pytest.mark.parametrize("paths", [0, 1])
def test_the_scale_of_theta_is_that_of_the_pairs_seen(data, tmp_path, paths):
    feed = PoseFeed(str(data if paths else rendered_set(tmp_path / "set", paths=0)), 32, ())
    latents = torch.tensor(np.array(feed.source.latents))
    pairs = np.concatenate([feed.indices(len(feed), 0, step).reshape(-1, 2) for step in range(300)])
    theta = pose_change(latents[pairs[:, 0]], latents[pairs[:, 1]])
    mean, deviation = feed.scale()
    assert mean.shape == deviation.shape == (6,)
    assert torch.allclose(mean, theta.mean(dim=0), atol=0.02)
    assert torch.allclose(deviation, theta.std(dim=0), rtol=0.05)


def test_what_never_changes_is_not_scaled(tmp_path):
    root = write_tree(tmp_path / "set", objects=2)
    for number, file in enumerate(sorted(root.rglob("latent_*.npy"))):
        np.save(file, np.array([0.0, 0.0, 0.1 * number, 0.5, 0.2, 0.2, number / 16]))
    mean, deviation = PoseFeed(str(root), 32, ()).scale()
    assert (deviation[[0, 1, 4]] == 1).all()
    assert (deviation[[2, 3, 5]] < 0.9).all()
    assert (mean[[0, 1, 4]] == 0).all()


@pytest.mark.parametrize("name", ["oracle", "AugSelf"])
def test_labels_of_poses_are_scaled_as_the_run_and_its_weights_remember(data, tmp_path, name):
    if name == "oracle":
        settings = config(data, coherence=CoherenceConfig(d_equi=8, decoder="oracle"), checkpoint_every=1)
    else:
        settings = config(data, method=AugSelfConfig(width=16, hidden=8), coherence=None, checkpoint_every=1)
    run = pretrain(settings, tmp_path / "run")
    mean, deviation = PoseFeed(str(data), 32, ()).scale()

    def scales(of):
        learner = load_run(of)[1]
        return [module for module in learner.modules() if isinstance(module, FittedTheta)]

    cut = tmp_path / "cut"
    shutil.copytree(run, cut, ignore=shutil.ignore_patterns("*.safetensors", "samples.npz", "config.json"))
    (cut / "checkpoints" / "step-00000003.pt").unlink()
    pretrain(settings, cut, resume=True)
    for folder in (run, cut):
        [scale] = scales(folder)
        assert torch.equal(scale.mean, mean)
        assert torch.equal(scale.deviation, deviation)
    assert len(losses(run)) == 3
    assert [line["loss"] for line in losses(run)] == [line["loss"] for line in losses(cut)]


def test_a_set_with_paths_says_how_many_of_its_views_are_paired(data, tmp_path, capfd):
    pretrain(config(data, max_steps=1), tmp_path / "run")
    source = PosePaths(data, "train")
    ends = len(set(source.groups[:, :2].ravel().tolist()))
    assert 0 < ends < len(source.benchmark)
    line = f"{ends} of {len(source.benchmark)} views lie on paths; only those are paired\n"
    assert capfd.readouterr().err.count(line) == 1
    assert PoseFeed(str(rendered_set(tmp_path / "views", paths=0)), 32, ()).remark == ""


def test_a_folder_that_holds_the_set_alone_is_passed_through_and_a_line_says_so(data, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "set").symlink_to(data)
    feed, plain = PoseFeed(str(tmp_path / "below"), 32, ()), PoseFeed(str(data), 32, ())
    assert [feed.source.name(index) for index in (0, len(feed.source) - 1)] == [
        plain.source.name(index) for index in (0, len(plain.source) - 1)
    ]
    assert "'set' is all that" in describe_images(feed.source)


@pytest.mark.parametrize("images", ["objects", "pictures"])
def test_images_without_poses_are_refused(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture_folder(tmp_path / "pictures", 8)
    with pytest.raises(ValueError, match=f"views.path is poses, but '{images}' holds no objects in poses: give with"):
        pretrain(config(images), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("decoder", "states"), [("oracle", 0), ("conv", 2)])
def test_the_source_holds_no_states_but_those_that_are_asked_for(data, decoder, states):
    feed = PoseFeed(str(data), 32, CoherenceConfig(d_equi=8, decoder=decoder).positions())
    source = PosePaths(data, "train")
    assert len(feed.source) == len(source.benchmark) + states * len(source.groups)


def test_a_step_may_be_split_into_parts_of_whole_pairs(data, tmp_path):
    optim = OptimConfig(epochs=3, batch_size=30, accumulation=4)
    assert len(losses(pretrain(config(data, optim=optim), tmp_path / "run"))) == 3


def test_a_resumed_run_sees_the_same_pairs_and_ends_with_the_same_bits(data, tmp_path):
    settings = config(data, checkpoint_every=1, threads=1)
    whole = pretrain(settings, tmp_path / "whole")
    cut = tmp_path / "cut"
    shutil.copytree(whole, cut, ignore=shutil.ignore_patterns("*.safetensors", "samples.npz", "config.json"))
    (cut / "checkpoints" / "step-00000003.pt").unlink()  # as if it had been stopped after its second step
    pretrain(settings, cut, resume=True)
    a, b = (load_file(run / "model.safetensors") for run in (whole, cut))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_plain_method_keeps_the_poses(data):
    plain = config(data).plain()
    assert plain.coherence is None
    assert plain.views.path == "poses"


def test_crops_and_masks_are_refused(data):
    with pytest.raises(ValueError, match=r"views are renders as they are, but"):
        config(data, views=ViewsConfig(size=32, source=32, path="poses", mask_probability=0.5))
