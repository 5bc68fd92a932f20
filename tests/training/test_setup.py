"""What a run begins with: nothing where it is refused, its own weights where it goes on."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from equicoherence.methods import METHODS
from equicoherence.methods.byol import BYOLConfig
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.simclr import SimCLRConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.models import Encoder
from equicoherence.training import EncoderConfig, OptimConfig, load_run, pretrain, setup
from equicoherence.training.resume_command import resume_command
from equicoherence.training.run import check_shared
from equicoherence.training.setup import convert_sync_batchnorm
from tests.small import METHOD_CONFIGS, picture_folder, small_config

VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 3}
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", 10)


def _half(run, to, step):
    """Copy a run as it was when it had written the checkpoint of ``step``, and lines of metrics past it."""
    shutil.copytree(run, to)
    for name in ("model.safetensors", "heads.safetensors", "samples.npz"):
        (to / name).unlink()
    for checkpoint in (to / "checkpoints").iterdir():
        if checkpoint.name != f"step-{step:08d}.pt":
            checkpoint.unlink()
    return to


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "regnety_002"])
def test_batch_norm_over_all_processes_keeps_its_activation(name):
    torch.manual_seed(0)
    encoder, images = Encoder(name).eval(), torch.rand(2, 3, 64, 64)
    before = encoder(images).patches
    assert convert_sync_batchnorm(encoder) is encoder
    kinds = [type(module) for module in encoder.modules()]
    assert not any(issubclass(kind, torch.nn.BatchNorm2d) for kind in kinds)
    assert any(issubclass(kind, torch.nn.SyncBatchNorm) for kind in kinds)
    assert torch.equal(encoder(images).patches, before)


def test_steps_stand_in_place_of_epochs_also_where_there_are_more(data, tmp_path):
    run = pretrain(small_config(data, max_steps=5, optim=OptimConfig(epochs=1, batch_size=8)), tmp_path / "run")
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 5


@pytest.mark.parametrize(
    ("wrong", "quoted"),
    [
        ({"optim": OptimConfig(epochs=1, batch_size=8, patch_embed_lr=0.5)}, "patch_embed_lr"),
        ({"data": "nowhere"}, "nowhere"),
        ({"encoder": EncoderConfig("resnet18x")}, "resnet18x"),
    ],
)
def test_a_refused_start_leaves_no_directory_and_the_corrected_one_trains(wrong, quoted, data, tmp_path):
    right = small_config(data, max_steps=1, optim=OptimConfig(epochs=1, batch_size=8))
    with pytest.raises((ValueError, FileNotFoundError), match=quoted):
        pretrain(dataclasses.replace(right, **wrong), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert pretrain(right, tmp_path / "run").is_dir()


def test_published_weights_are_needed_to_begin_and_never_to_go_on(data, tmp_path):
    published = pretrain(small_config(data, max_steps=1), tmp_path / "published")
    encoder = EncoderConfig(f"local-dir:{published}", pretrained=True)
    config = small_config(data, encoder=encoder, max_steps=2, checkpoint_every=1)
    whole = pretrain(config, tmp_path / "whole")
    half = _half(whole, tmp_path / "half", 1)
    for weights in published.glob("*.safetensors"):
        weights.unlink()
    with pytest.raises(RuntimeError, match="No suitable checkpoints"):
        pretrain(config, tmp_path / "new")
    pretrain(config, half, resume=True)
    a, b = (load_run(run)[1].state_dict() for run in (whole, half))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_processes_that_see_different_checkpoints_are_told_to_share_the_folder(tmp_path):
    check_shared([4, 4], tmp_path)
    with pytest.raises(ValueError, match=r"process 0 step 4, process 1 step 0.*a folder that all nodes share"):
        check_shared([4, 0], tmp_path)


@pytest.mark.parametrize(
    ("environment", "start"),
    [
        ({}, "equicoherence"),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"}, "torchrun --nproc-per-node 8 -m equicoherence"),
        (
            {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "MASTER_ADDR": "node1"},
            "torchrun --nnodes 2 --rdzv-backend c10d --rdzv-endpoint node1:29500 --nproc-per-node 8 -m equicoherence",
        ),
    ],
)
def test_a_run_is_gone_on_with_by_as_many_processes_and_machines(environment, start, monkeypatch):
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert resume_command(Path("a run")) == f"{start} pretrain --resume --out 'a run'"


def test_a_resumed_run_shows_each_step_once_in_tensorboard(data, tmp_path):
    config = small_config(data, max_steps=3, log_every=1, checkpoint_every=1, track="tensorboard")
    half = _half(pretrain(config, tmp_path / "whole"), tmp_path / "half", 2)
    pretrain(config, half, resume=True)
    for run, files in ((tmp_path / "whole", 1), (half, 2)):
        assert len(list((run / "tensorboard").iterdir())) == files
        events = EventAccumulator(str(run / "tensorboard")).Reload()
        assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]


DISTILLING = {"prototypes": 20, "hidden": 12, "bottleneck": 6}


@pytest.mark.parametrize(
    ("method", "trains"),
    [
        (VICRegConfig(width=12), False),
        (SimCLRConfig(width=12, output=6), False),
        (BYOLConfig(width=12, output=6), False),
        (DINOConfig(**DISTILLING), True),
        (DINOv2Config(**DISTILLING), False),
    ],
)
def test_one_image_at_a_time_is_for_methods_that_compare_none(method, trains, data, tmp_path):
    config = small_config(data, method=method, encoder=VIT, max_steps=2, optim=OptimConfig(batch_size=1), d=16)
    if trains:
        assert (pretrain(config, tmp_path / "run") / "samples.npz").is_file()
        return
    with pytest.raises(ValueError, match=r"compares images with each other; give --optim\.batch-size 2"):
        pretrain(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert pretrain(dataclasses.replace(config, optim=OptimConfig(batch_size=2)), tmp_path / "run").is_dir()


def test_every_method_says_truly_whether_it_compares_images():
    alone = {METHODS[type(config)].__name__ for config in METHOD_CONFIGS if not METHODS[type(config)].compares_images}
    assert alone == {"DINO", "IBOT", "Anchor"}


@pytest.mark.parametrize("place", ["build_learner", "build_feed", "build_optimizer", "check_batch"])
def test_ctrl_c_while_a_run_is_set_up_leaves_nothing(place, data, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup, place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(small_config(data, max_steps=1), tmp_path / "new" / "run")
    assert not list(tmp_path.iterdir())


def test_a_start_that_was_killed_before_its_first_checkpoint_blocks_no_other(data, tmp_path):
    config = small_config(data, max_steps=2, checkpoint_every=2, track="tensorboard")
    run = pretrain(config, tmp_path / "run")
    for name in ("model.safetensors", "config.json", "heads.safetensors", "samples.npz"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints")
    (run / ".lock").write_text("of a process that is gone")
    other = dataclasses.replace(config, seed=7, max_steps=1)
    assert load_run(pretrain(other, run))[0].seed == 7
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 1
    assert len(list((run / "tensorboard").iterdir())) == 1
