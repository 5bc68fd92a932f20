"""A run that is killed and resumed ends with the same bits as one that never was."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import METHODS
from equicoherence.methods.byol import BYOLConfig
from equicoherence.training import EncoderConfig, Interrupted, OptimConfig, load_run, pretrain
from equicoherence.training.checkpoint import save_checkpoint
from equicoherence.training.config_file import save_config
from tests.distil import Distil, DistilConfig
from tests.small import picture_folder, small_config

# modules are loaded once; each line on standard input is a run, in a process of its own that finds them there
SCRIPT = """
import os, sys
from pathlib import Path
from equicoherence.training import load_config, pretrain
for line in sys.stdin:
    process = os.fork()
    if not process:
        config, run, *resume = line.rstrip().split("|")
        pretrain(load_config(Path(config)), Path(run), resume=bool(resume))
        os._exit(0)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


def _same_bits(a, b):
    for name in ("model.safetensors", "heads.safetensors"):
        left, right = load_file(a / name), load_file(b / name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[k], right[k]) for k in left)
    lines = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (a, b)]
    keep = [
        [{k: v for k, v in line.items() if k not in ("images_per_second", "seconds")} for line in run] for run in lines
    ]
    assert keep[0] == keep[1]
    with np.load(a / "samples.npz", allow_pickle=False) as x, np.load(b / "samples.npz", allow_pickle=False) as y:
        assert all(np.array_equal(x[k], y[k]) for k in x.files)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a run of ``tmp_path / "config.yaml"``, and one that waits for its exit status."""
    command, environment = [sys.executable, "-c", SCRIPT], {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as starting:

        def begin(run, *more):
            print(tmp_path / "config.yaml", run, *more, sep="|", file=starting.stdin, flush=True)
            return int(starting.stdout.readline())

        yield begin, lambda: int(starting.stdout.readline())
        starting.stdin.close()


def test_killed_three_times_and_resumed_it_ends_with_the_same_bits(start, tmp_path):
    config = small_config(picture_folder(tmp_path / "data", 60), checkpoint_every=3, log_every=3)
    save_config(config, tmp_path / "config.yaml")
    begin, wait = start
    begin(tmp_path / "whole")
    assert wait() == 0
    killed, more = tmp_path / "killed", ()
    kills = 0
    for wanted in (3, 6, 12):  # kill as soon as that step's checkpoint is there
        process = begin(killed, *more)
        deadline = time.monotonic() + 120
        while not list((killed / "checkpoints").glob(f"step-{wanted:08d}.pt")):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if not (killed / "samples.npz").is_file():
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(process, signal.SIGKILL)
        kills += wait() == -signal.SIGKILL
        more = ("resume",)
    assert kills >= 2
    begin(killed, "resume")
    assert wait() == 0
    _same_bits(tmp_path / "whole", killed)


def _self_distillation(data):
    """Return a run with a teacher, masks, local crops and a head that is split."""
    views = small_config(data).views
    return small_config(
        data,
        method=DistilConfig(prototypes=24),
        encoder=EncoderConfig(
            "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
        ),
        coherence=CoherenceConfig(d_equi=8, decoder="conv", split="head"),
        views=dataclasses.replace(views, crops=2, crop_size=16, mask_probability=0.5),
        optim=OptimConfig(epochs=3, batch_size=16, lr=1e-2, layer_decay=0.9, freeze_last_layer=1, weight_decay_end=0.4),
    )


RUNS = {
    "SimCLR": small_config,
    "BYOL": lambda data: small_config(data, method=BYOLConfig(width=16, output=8, momentum=0.9)),
    "self-distillation": _self_distillation,
}


@pytest.mark.parametrize("name", list(RUNS))
def test_an_interrupt_saves_and_the_run_goes_on(name, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, DistilConfig, Distil)
    config = dataclasses.replace(RUNS[name](picture_folder(tmp_path / "data")), checkpoint_every=1000)
    pretrain(config, tmp_path / "whole")
    from equicoherence.training import metrics

    original = metrics.Metrics.add
    calls = []

    def add(self, *args):
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, *args)

    monkeypatch.setattr(metrics.Metrics, "add", add)
    with pytest.raises(Interrupted, match="step 4 of 6"):
        pretrain(config, tmp_path / "run")
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000004.pt"]
    pretrain(config, tmp_path / "run", resume=True)
    whole, run = (load_run(tmp_path / r)[1].state_dict() for r in ("whole", "run"))
    assert all(torch.equal(whole[k], run[k]) for k in whole)
    assert any(k.startswith("teacher.") for k in whole) == (name != "SimCLR")


def test_a_run_is_resumed_with_the_threads_it_had(tmp_path, capsys):
    config = dataclasses.replace(small_config(picture_folder(tmp_path / "data"), threads=0), precision="bf16")
    torch.set_num_threads(2)
    pretrain(config, tmp_path / "whole")
    first = pretrain(config, tmp_path / "run")
    (newest,) = sorted((first / "checkpoints").glob("*.pt"))[-1:]
    newest.unlink()  # as if it had been stopped after step 4
    torch.set_num_threads(1)
    try:
        pretrain(config, tmp_path / "run", resume=True)
        assert torch.get_num_threads() == 2
        _same_bits(tmp_path / "whole", tmp_path / "run")
        state = torch.load(newest, weights_only=True)
        torch.save({**state, "threads": 10_000}, newest)
        capsys.readouterr()
        pretrain(config, tmp_path / "run", resume=True)
        assert "had 10000 threads and goes on with 2" in capsys.readouterr().err
    finally:
        torch.set_num_threads(2)


def test_auto_is_what_the_device_multiplies_and_a_resumed_run_keeps_it(tmp_path, monkeypatch, capsys):
    from equicoherence.training import setup

    config = dataclasses.replace(small_config(picture_folder(tmp_path / "data")), precision="auto")
    runs = {}
    for precision, fast in (("bf16", True), ("fp32", False)):
        monkeypatch.setattr(setup, "has_bfloat16", lambda device, fast=fast: fast)
        runs["auto", precision] = pretrain(config, tmp_path / f"auto-{precision}")
        assert f"; {precision}\n" in capsys.readouterr().err
        runs["asked", precision] = pretrain(dataclasses.replace(config, precision=precision), tmp_path / precision)
        _same_bits(runs["auto", precision], runs["asked", precision])
    (newest,) = sorted((runs["auto", "bf16"] / "checkpoints").glob("*.pt"))[-1:]
    newest.unlink()  # as if it had been stopped before, on another machine
    pretrain(config, runs["auto", "bf16"], resume=True)
    _same_bits(runs["auto", "bf16"], runs["asked", "bf16"])


def test_bad_images_of_the_part_before_an_interrupt_stay_noted(tmp_path, monkeypatch):
    folder = picture_folder(tmp_path / "data")
    (folder / "disc" / "bad one.png").write_bytes(b"no picture")
    config = small_config(folder, bad_image_tolerance=0.05)
    from equicoherence.training import loop

    original = loop.set_schedules

    def stop(optimizer, optim, step, *args):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(optimizer, optim, step, *args)

    monkeypatch.setattr(loop, "set_schedules", stop)
    with pytest.raises(Interrupted):
        pretrain(config, tmp_path / "run")
    noted = tmp_path / "run" / "bad_images.txt"
    first = noted.read_text()
    assert first.startswith("disc/bad one.png\tnot an image")
    noted.write_text(first + "of another process.png\tthe file is empty\n")
    monkeypatch.setattr(loop, "set_schedules", original)
    pretrain(config, tmp_path / "run", resume=True)
    assert noted.read_text() == first + "of another process.png\tthe file is empty\n"


def test_half_written_files_are_never_taken_for_checkpoints(tmp_path):
    config = small_config(picture_folder(tmp_path / "data"))
    run = pretrain(config, tmp_path / "run")
    (run / "checkpoints" / "step-00009999.tmp").write_bytes(b"half")
    assert pretrain(config, run, resume=True) == run


def test_what_a_killed_process_left_of_a_checkpoint_goes_with_the_next_one(tmp_path):
    left = tmp_path / "checkpoints" / ".step-00000001.pt.0123456789ab.tmp"
    left.parent.mkdir()
    left.write_bytes(b"half")
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"step": step})
    assert sorted(path.name for path in left.parent.iterdir()) == ["step-00000002.pt", "step-00000003.pt"]


def test_another_configuration_cannot_be_resumed(tmp_path):
    data = picture_folder(tmp_path / "data")
    pretrain(small_config(data, max_steps=2), tmp_path / "run")
    with pytest.raises(ValueError, match="seed: 0 -> 1"):
        pretrain(small_config(data, max_steps=2, seed=1), tmp_path / "run", resume=True)


def test_a_directory_in_use_is_not_written_over(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--out"):
        pretrain(small_config(picture_folder(tmp_path / "data")), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        pretrain(small_config(tmp_path / "data"), tmp_path / "run", resume=True)
    assert os.listdir(tmp_path / "run") == ["thesis.txt"]


def test_other_images_cannot_be_resumed(tmp_path):
    folder = picture_folder(tmp_path / "data")
    config = small_config(folder, max_steps=2)
    run = pretrain(config, tmp_path / "run")
    for path in sorted(folder.glob("*/*.png"))[:6]:
        path.unlink()
    with pytest.raises(ValueError, match="images 3"):
        pretrain(config, run, resume=True)


def test_other_images_of_the_same_names_cannot_be_resumed_but_one_may_be_repaired(tmp_path):
    folder = picture_folder(tmp_path / "data")
    config = small_config(folder, max_steps=2)
    run = pretrain(config, tmp_path / "run")
    files = sorted(folder.glob("*/*.png"))
    Image.new("RGB", (64, 64)).save(files[0])
    pretrain(config, run, resume=True)
    for path in files:
        Image.new("RGB", (64, 64)).save(path)
    with pytest.raises(ValueError, match="its images have the same names, but their files are others: most have other"):
        pretrain(config, run, resume=True)


def test_a_damaged_checkpoint_is_named(tmp_path):
    config = small_config(picture_folder(tmp_path / "data"), max_steps=2)
    run = pretrain(config, tmp_path / "run")
    (run / "checkpoints" / "step-00000002.pt").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"step-00000002\.pt"):
        pretrain(config, run, resume=True)
