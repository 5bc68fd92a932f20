"""Runs of two processes, as torchrun starts them: one is lost, all are stopped, or the model is divided."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.training import EncoderConfig, OptimConfig, load_run
from equicoherence.training.checkpoint import load_checkpoint
from equicoherence.training.config_file import save_config
from tests.small import picture_folder, small_config

TRAIN = """
import atexit
import os
import shutil
import sys
import weakref
from pathlib import Path
from torch import distributed
from equicoherence.training import load_config, pretrain
from equicoherence.training.callbacks import Callback
class Breaking(Callback):
    def on_start(self, moment):
        raise RuntimeError
folder = Path(sys.argv[1])
rank, group = os.environ["RANK"], lambda: None
def check():  # after what pretrain registers
    if not distributed.is_initialized():
        (folder / f"left-{rank}").touch()
        if group() is None:  # with the last reference to it, its threads end
            (folder / f"gone-{rank}").touch()
atexit.register(check)
for job in sys.argv[2:]:
    name, _, start = job.partition(":")
    if start not in ("", name):
        if rank == "0":
            shutil.copytree(folder / start, folder / name)
            (folder / name / "checkpoints" / "step-00000004.pt").unlink()
        distributed.barrier()
    config, callbacks = load_config(folder / f"{name.partition('-')[0]}.yaml"), [Breaking()] * name.endswith("-broken")
    try:
        pretrain(config, folder / name, resume=bool(start), callbacks=callbacks)
    except RuntimeError:
        if not callbacks:
            raise
    group = weakref.ref(distributed.group.WORLD)
"""


def _start(folder, *jobs) -> subprocess.Popen[str]:
    """Start two processes that do ``jobs``: NAME anew, NAME:NAME resumed, NAME:RUN resumed from half-way RUN.

    NAME-broken does not begin: a callback raises.
    """
    (folder / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    return subprocess.Popen(
        [*command, str(folder / "train.py"), str(folder), *jobs],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def _ranks(launcher):
    """Return the process of each rank."""
    found = {}
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/stat") as stat, open(f"/proc/{number}/environ") as environment:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                variables = {k: v for k, _, v in (pair.partition("=") for pair in environment.read().split("\0"))}
        except OSError:  # gone, or another's
            continue
        if parent == launcher.pid and "RANK" in variables:
            found[int(variables["RANK"])] = int(number)
    return found


def _wait_for(path, launcher):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert launcher.poll() is None, launcher.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _endless(tmp_path):
    data = picture_folder(tmp_path / "data")
    config = small_config(data, optim=OptimConfig(epochs=5000, batch_size=8, lr=1e-3))
    save_config(config, tmp_path / "run.yaml")
    return tmp_path / "run"


def _goes_on(run):
    """Return the step of the newest checkpoint, which must be whole and belong to the run."""
    newest = max((run / "checkpoints").glob("*.pt"))
    state = load_checkpoint(newest)
    load_run(run)[1].load_state_dict(state["learner"])
    return state["step"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the ranks in /proc")
def test_a_process_that_dies_ends_the_job_with_a_message_and_a_checkpoint_to_go_on_from(tmp_path):
    run = _endless(tmp_path)
    job = _start(tmp_path, "run")
    _wait_for(run / "checkpoints" / "step-00000002.pt", job)
    os.kill(_ranks(job)[1], signal.SIGKILL)
    _, said = job.communicate(timeout=20)
    assert job.returncode != 0
    assert "another process of this job has ended" in said, said
    assert f"go on with: torchrun --nproc-per-node 2 -m equicoherence pretrain --resume --out {run}" in said
    step = _goes_on(run)

    lines = (tmp_path / "run.yaml").read_text().replace("max_steps: 0", f"max_steps: {step + 2}")
    for path in (tmp_path / "run.yaml", run / "config.yaml"):  # a run that is short, from there
        path.write_text(lines)
    resumed = _start(tmp_path, "run:run")
    _, said = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, said
    assert _goes_on(run) == step + 2
    assert len(list(tmp_path.glob("gone-*"))) == 2  # no thread of the process group lives on


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the ranks in /proc")
def test_a_cluster_that_signals_launcher_and_processes_alike_gets_a_saved_run(tmp_path):
    run = _endless(tmp_path)
    job = _start(tmp_path, "run")
    _wait_for(run / "checkpoints" / "step-00000002.pt", job)
    for process in (*_ranks(job).values(), job.pid):  # the launcher signals its processes once more
        os.kill(process, signal.SIGTERM)
    _, said = job.communicate(timeout=40)
    assert job.returncode != 0
    assert f"stopped at step {_goes_on(run)} of" in said
    assert not list(tmp_path.glob("left-*"))  # a run that did not end by itself waits for no other process


def _divided(data, sharding):
    """Return a run with a teacher, masks, crops, dropped samples, and two decoders on a share of a third view."""
    vit = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    return small_config(
        data,
        method=DINOv2Config(prototypes=20, hidden=12, bottleneck=6),
        encoder=EncoderConfig("vit_tiny_patch16_224", vit, drop_path=0.2),
        coherence=CoherenceConfig(d_equi=8, decoder="conv+render", split="head", share=0.5),
        views=dataclasses.replace(
            small_config(data).views, crops=2, crop_size=16, mask_probability=0.5, invariant="base"
        ),
        optim=OptimConfig(
            epochs=3, batch_size=8, lr=1e-3, clip=1.0, layer_decay=0.9, freeze_last_layer=1, accumulation=2
        ),
        sharding=sharding,
        max_steps=4,
        log_every=1,
    )


def _flat(state, prefix=""):
    if isinstance(state, dict):
        return {k: v for name, part in state.items() for k, v in _flat(part, f"{prefix}.{name}").items()}
    return {prefix: state}


def test_a_divided_model_has_the_losses_of_a_whole_one_and_either_goes_on_with_the_others_checkpoint(tmp_path):
    data = picture_folder(tmp_path / "data")
    for sharding in ("ddp", "fsdp2"):
        save_config(_divided(data, sharding), tmp_path / f"{sharding}.yaml")
    job = _start(tmp_path, "ddp-broken", "ddp", "fsdp2", "ddp-on:fsdp2", "fsdp2-on:ddp")
    _, said = job.communicate(timeout=200)
    assert job.returncode == 0, said
    for rank in (0, 1):
        assert (tmp_path / f"left-{rank}").exists()  # after the last run, though one before it broke
    runs = ["ddp", "fsdp2", "ddp-on", "fsdp2-on"]
    lines = {r: [json.loads(line) for line in (tmp_path / r / "metrics.jsonl").read_text().splitlines()] for r in runs}
    states = {r: _flat(load_checkpoint(tmp_path / r / "checkpoints" / "step-00000004.pt")) for r in runs}
    samples = {r: load_run(tmp_path / r)[1].state_dict() for r in runs}
    for run in runs[1:]:
        for term in ("loss", "class", "patch", "koleo", "reconstruction", "reconstruction_render", "gradient_norm"):
            assert [line[term] for line in lines[run]] == pytest.approx([line[term] for line in lines["ddp"]], rel=1e-3)
        assert states[run].keys() == states["ddp"].keys()
        for name, value in states[run].items():
            if isinstance(value, torch.Tensor):
                assert torch.allclose(value, states["ddp"][name], rtol=1e-2, atol=1e-4), name
        assert samples[run].keys() == samples["ddp"].keys()
        assert all(torch.allclose(t, samples["ddp"][name], atol=1e-4) for name, t in samples[run].items())
