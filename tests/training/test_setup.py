"""What a run begins with: nothing where it is refused, its own weights where it goes on."""

import dataclasses
import shutil

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from equicoherence.models import Encoder
from equicoherence.training import EncoderConfig, OptimConfig, load_run, pretrain
from equicoherence.training.run import check_shared
from equicoherence.training.setup import convert_sync_batchnorm
from tests.small import picture_folder, small_config


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


@pytest.mark.parametrize(
    ("wrong", "quoted"),
    [
        ({"optim": OptimConfig(epochs=1, batch_size=8, layer_decay=0.9)}, "layer_decay"),
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


def test_a_resumed_run_shows_each_step_once_in_tensorboard(data, tmp_path):
    config = small_config(data, max_steps=3, log_every=1, checkpoint_every=1, track="tensorboard")
    half = _half(pretrain(config, tmp_path / "whole"), tmp_path / "half", 2)
    pretrain(config, half, resume=True)
    for run, files in ((tmp_path / "whole", 1), (half, 2)):
        assert len(list((run / "tensorboard").iterdir())) == files
        events = EventAccumulator(str(run / "tensorboard")).Reload()
        assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
