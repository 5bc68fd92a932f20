"""Every method trains through the loop, and what it keeps beside its weights survives an interruption."""

import dataclasses
import shutil
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import METHODS
from equicoherence.training import EncoderConfig, PretrainConfig, load_run, pretrain
from equicoherence.training.start import started
from tests.small import METHOD_CONFIGS, picture_folder, small_config, with_weights

CONFIGS = {METHODS[type(config)].__name__: config for config in METHOD_CONFIGS}
HEADS = [name for name, config in CONFIGS.items() if METHODS[type(config)].splits_head]
VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", 10)


def _config(data, name: str, split: Literal["linear", "head"]) -> PretrainConfig:
    """Return a run of two steps, with all that the method reads: local crops, masks, a class token."""
    config = small_config(data, checkpoint_every=1, log_every=1, max_steps=2)
    method, views = METHODS[type(CONFIGS[name])], config.views
    if method.crops:
        views = dataclasses.replace(views, crops=4, crop_size=16, crop_rotations=method.rotated_crops)
    if method.masks:
        views = dataclasses.replace(views, mask_probability=0.5)
    encoder = VIT if method.reads == "features" else config.encoder
    task = CoherenceConfig(d_equi=8, decoder="conv", split=split)
    coherence = None if method.told or method.symmetries else task
    if method.fixed_teacher:
        encoder = with_weights(encoder, data.parent / "encoder.safetensors")
    config = dataclasses.replace(config, method=CONFIGS[name], views=views, encoder=encoder, coherence=coherence)
    return started(config)[0] if encoder.weights else config


@pytest.mark.parametrize(
    ("name", "split"), [*((name, "linear") for name in CONFIGS), *((name, "head") for name in HEADS)]
)
def test_every_method_trains_two_steps_and_resumes_after_one(name, split, data, tmp_path):
    config = _config(data, name, split)
    whole = pretrain(config, tmp_path / "whole")
    half = tmp_path / "half"
    shutil.copytree(whole, half)
    for path in ("model.safetensors", "heads.safetensors", "samples.npz", "checkpoints/step-00000002.pt"):
        (half / path).unlink()
    pretrain(config, half, resume=True)
    for file in ("model.safetensors", "heads.safetensors"):
        a, b = (load_file(run / file) for run in (whole, half))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)
        assert all(np.isfinite(tensor.numpy()).all() for tensor in a.values())
    assert load_run(half)[0] == config
