"""The loop: what it writes, what it stops at, and what its options change."""

import dataclasses
import json
import os
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.data import TooManyBadImages, batch_indices, open_images
from equicoherence.evaluation.model import load_model
from equicoherence.methods import METHODS
from equicoherence.methods.byol import BYOLConfig
from equicoherence.methods.simclr import SimCLRConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training import EncoderConfig, NotFinite, OptimConfig, load_config, load_run, pretrain
from equicoherence.training.config_file import save_config
from equicoherence.training.loop import _accumulate
from equicoherence.training.setup import set_up
from tests.distil import Distil, DistilConfig
from tests.small import picture_folder, small_config

WHOLE_AND_HALF = """
import os
import shutil
import sys
from pathlib import Path
from torch import distributed
from equicoherence.training import load_config, pretrain
whole, half = (Path(sys.argv[1], name) for name in ("whole", "half"))
config = load_config(whole.with_suffix(".yaml"))
pretrain(config, whole)
if os.environ["RANK"] == "0":
    shutil.copytree(whole, half)
    for name in ("model.safetensors", "heads.safetensors", "samples.npz", "checkpoints/step-00000006.pt"):
        (half / name).unlink()
distributed.barrier()
pretrain(config, half, resume=True)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_directory_holds_what_the_contract_says(data, tmp_path):
    config = small_config(data)
    run = pretrain(config, tmp_path / "run")
    names = {p.name for p in run.iterdir()}
    assert names >= {"config.yaml", "metrics.jsonl", "checkpoints", "model.safetensors", "config.json", "samples.npz"}
    assert load_config(run / "config.yaml") == config
    last = _lines(run)[-1]
    assert last["step"] == 6  # 3 epochs of 2 batches: a fifth of the folder is held out
    parts = last["contrastive"] + last["reconstruction"]
    assert last["loss"] == pytest.approx(parts, rel=1e-4)
    assert {"std_invariant", "std_equivariant", "rank_invariant", "rank_equivariant"} <= set(last)
    with np.load(run / "samples.npz", allow_pickle=False) as samples:
        assert samples["targets"].shape == samples["decoded"].shape == (8, 2, 32, 32, 3)
        assert samples["base"].shape == (8, 32, 32, 3)
        assert samples["theta_units"].tolist() == ["degrees", "px at 224", "px at 224"]


def test_timm_loads_the_exported_encoder_with_identical_features(data, tmp_path):
    run = pretrain(small_config(data, max_steps=2), tmp_path / "run")
    _, learner = load_run(run)
    model = timm.create_model(f"local-dir:{run}", pretrained=True).eval().to(memory_format=torch.channels_last)
    encoder = learner.encoder.eval()
    images = torch.rand(2, 3, 32, 32)
    normalised = ((images - encoder.mean) / encoder.std).contiguous(memory_format=torch.channels_last)
    features = model.forward_features(normalised).flatten(2).transpose(1, 2)
    assert torch.equal(features, encoder(images).patches)
    assert tuple(model.pretrained_cfg["input_size"]) == (3, 32, 32)


def test_timm_pools_the_exported_encoder_by_the_class_token_where_the_method_reads_it(data, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, DistilConfig, Distil)
    vit = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    views = dataclasses.replace(small_config(data).views, crops=2, crop_size=16, mask_probability=0.5)
    encoder = EncoderConfig("vit_tiny_patch16_224", vit)
    config = small_config(data, max_steps=2, method=DistilConfig(), encoder=encoder, views=views)
    run = pretrain(config, tmp_path / "run")
    learner = load_run(run)[1]
    assert not torch.equal(learner.encoder.mask_token, torch.zeros(24))
    model = timm.create_model(f"local-dir:{run}", pretrained=True).eval()
    images = torch.rand(2, 3, 32, 32)
    features = learner.encoder(images)
    normalised = (images - learner.encoder.mean) / learner.encoder.std
    assert torch.allclose(model(normalised), features.cls, atol=1e-5)
    pooled, tokens = load_model(run).represent(images)
    assert set(pooled) == set(tokens) == {"backbone", "z_equi"}
    assert torch.allclose(pooled["backbone"], features.cls, atol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(data, tmp_path):
    runs = [pretrain(small_config(data, max_steps=3, seed=s), tmp_path / f"{i}") for i, s in enumerate((0, 0, 1))]
    losses = [_lines(run)[-1]["loss"] for run in runs]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    "changes",
    [
        {"coherence": CoherenceConfig(d_equi=8, decoder="cross-attention")},
        {"coherence": CoherenceConfig(d_equi=8, decoder="render+conv", share=0.3, parts=("affine", "flow"))},
        {"coherence": CoherenceConfig(d_equi=8, decoder="oracle")},
        {"coherence": CoherenceConfig(d_equi=8, decoder="oracle+render", share=0.5)},
        {"coherence": CoherenceConfig(d_equi=8, states=0)},
        {"coherence": CoherenceConfig(d_equi=8, weight=0.0)},
        {"coherence": CoherenceConfig(d_equi=8, layers=(2,))},
        {"coherence": None},
        {"method": VICRegConfig(width=16)},
        {"method": BYOLConfig(width=16, output=8)},
        {"method": BYOLConfig(width=16, output=8), "precision": "bf16", "coherence": None},
        {"precision": "bf16"},
    ],
)
def test_every_control_of_the_task_trains(data, tmp_path, changes):
    run = pretrain(small_config(data, max_steps=2, **changes), tmp_path / "run")
    assert np.isfinite(_lines(run)[-1]["loss"])
    assert load_run(run)[0].coherence == changes.get("coherence", small_config(data).coherence)


def test_the_plain_method_has_no_path_and_no_reconstruction(data, tmp_path):
    plain = dataclasses.replace(small_config(data).plain(), max_steps=2)
    run = pretrain(plain, tmp_path / "run")
    assert plain.name == "small-plain"
    assert "reconstruction" not in _lines(run)[-1]
    with np.load(run / "samples.npz", allow_pickle=False) as samples:
        assert samples["targets"].shape[1] == 0
        assert np.array_equal(samples["base"], samples["v2"])


def test_weight_zero_leaves_the_encoder_to_the_method(data, tmp_path):
    """With lambda = 0 the decoder trains nothing: its loss does not move the encoder."""
    zero = CoherenceConfig(d_equi=8, weight=0.0)
    optim = OptimConfig(epochs=3, batch_size=16, lr=1e-2)
    runs = [
        pretrain(small_config(data, max_steps=3, optim=optim, coherence=c), tmp_path / name)
        for name, c in (("conv", zero), ("none", dataclasses.replace(zero, states=0)))
    ]
    a, b = (load_run(run)[1].encoder.state_dict() for run in runs)
    assert all(torch.allclose(a[k], b[k]) for k in a)


def test_accumulation_gives_the_mean_of_its_parts(data, tmp_path):
    optim = OptimConfig(epochs=3, batch_size=16, lr=1e-3, accumulation=3)
    run = set_up(small_config(data, optim=optim), tmp_path / "run", False, ExitStack())
    _, batch = next(run.batches())
    run.generator.manual_seed(0)
    _, losses, _ = _accumulate(run, batch)
    gradients = {name: p.grad.clone() for name, p in run.learner.named_parameters() if p.grad is not None}
    run.learner.zero_grad()
    run.generator.manual_seed(0)
    expected = dict.fromkeys(losses, torch.zeros(()))
    for rows in (slice(0, 6), slice(6, 11), slice(11, 16)):
        part = run.learner(run.feed.views(batch.part(rows.start, rows.stop), run.generator)).losses
        (sum(part.values()) / 3).backward()
        expected = {name: value + part[name].detach() / 3 for name, value in expected.items()}
    assert gradients.keys() == {name for name, p in run.learner.named_parameters() if p.grad is not None}
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, run.learner.get_parameter(name).grad, atol=1e-6), name
    assert {name: float(v) for name, v in losses.items()} == pytest.approx({n: float(v) for n, v in expected.items()})


def test_a_loss_that_breaks_is_named_with_its_step_and_never_saved(data, tmp_path):
    config = small_config(
        data, method=SimCLRConfig(temperature=1e-40, width=16, output=8), log_every=1, checkpoint_every=1
    )
    with pytest.raises(NotFinite, match="contrastive is nan at step 1"):
        pretrain(config, tmp_path / "run")
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_bad_images_stop_the_run_with_their_list_or_are_noted(data, tmp_path):
    folder = picture_folder(tmp_path / "data")
    (folder / "disc" / "bad one.png").write_bytes(b"no picture")
    with pytest.raises(TooManyBadImages, match=r"bad one\.png"):
        pretrain(small_config(folder), tmp_path / "strict")
    run = pretrain(small_config(folder, bad_image_tolerance=0.05), tmp_path / "lenient")
    assert "bad one.png" in (run / "bad_images.txt").read_text()


def test_tensorboard_files_are_written_on_demand(data, tmp_path):
    run = pretrain(small_config(data, max_steps=2, track="tensorboard"), tmp_path / "run")
    assert list((run / "tensorboard").iterdir())


def test_two_processes_train_one_run_and_resume_it(tmp_path):
    """As torchrun starts them: one run directory, each image seen once, the same bits after a stop half-way."""
    optim = OptimConfig(epochs=3, batch_size=8, lr=1e-2)
    method = BYOLConfig(width=16, output=8, momentum=0.9)
    data = picture_folder(tmp_path / "data")
    config = small_config(data, optim=optim, method=method, bad_image_tolerance=0.05)
    save_config(config, tmp_path / "whole.yaml")
    source = open_images(str(data), "train")
    # an image that the second process alone sees, in all epochs and for the samples
    mine = [set().union(*(batch_indices(len(source), 8, 0, s, rank, 2).tolist() for s in range(6))) for rank in (0, 1)]
    samples = set(np.linspace(0, len(source) - 1, 8).astype(int).tolist())
    bad = source.name(min(mine[1] - mine[0] - samples))
    (data / bad).write_bytes(b"no picture")
    script = tmp_path / "train.py"
    script.write_text(WHOLE_AND_HALF)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)]
    subprocess.run([*command, str(tmp_path)], check=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert _lines(tmp_path / "whole")[-1]["step"] == 6
    assert (tmp_path / "whole" / "bad_images.txt").read_text().startswith(f"{bad}\t")
    assert _lines(tmp_path / "half")[-1]["step"] == 6
    for name in ("model.safetensors", "heads.safetensors"):
        a, b = (load_file(tmp_path / run / name) for run in ("whole", "half"))
        assert all(torch.equal(a[k], b[k]) for k in a)
