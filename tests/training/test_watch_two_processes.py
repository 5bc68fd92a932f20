"""Two processes that are watched, whole or divided: the first one measures, and all end alike."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from equicoherence.data import Loader, open_images
from equicoherence.methods.anchor import AnchorConfig
from equicoherence.training import EncoderConfig, OptimConfig, load_run
from equicoherence.training.config_file import save_config
from equicoherence.training.resume_command import ADAPTS
from equicoherence.training.watch import Watch
from tests.small import picture_folder, small_config, with_weights

VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
)
# in the runs that break, the loss of the second process alone is no number in the fifth step; from there on nobody can
# read the checkpoints of the run "unreadable", whose folder has become a link to a name that no system takes
TRAIN = """
import os
import sys
from pathlib import Path
import torch
from equicoherence import Callback
from equicoherence.training import NotFinite, load_config, loop, pretrain
from equicoherence.training.sharding import whole
class Keep(Callback):
    def on_end(self, moment):
        torch.save(whole(moment.learner.state_dict(), True), f"{moment.out}-{os.environ['RANK']}.pt")
accumulate, calls = loop._accumulate, []
def breaking(run, batch):
    output, losses, parts = accumulate(run, batch)
    calls.append(run.out.name)
    if run.out.name != "fsdp2" and calls.count(run.out.name) == 5:
        if run.rank == 1:
            losses = {name: value * float("nan") for name, value in losses.items()}
        elif run.out.name == "unreadable":
            (run.out / "checkpoints").rename(run.out / "away")
            (run.out / "checkpoints").symlink_to("n" * 300)
    return output, losses, parts
loop._accumulate = breaking
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    try:
        pretrain(load_config(folder / f"{name}.yaml"), folder / name, callbacks=[Keep()])
    except (NotFinite, OSError) as error:
        (folder / f"{name}-{os.environ['RANK']}.txt").write_text(str(error))
"""
RUNS = ("fsdp2", "broken")
ADAPTED = ("adapted", "unreadable")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    data, encoder = picture_folder(folder / "data"), with_weights(VIT, folder / "w.safetensors")
    config = small_config(
        data,
        method=AnchorConfig(weight=0.1, tokens=0),
        encoder=encoder,
        optim=OptimConfig(epochs=6, batch_size=8, lr=0.1, warmup=1.0),
        keep=0.05,
        watch_every=1,
        log_every=1,
        checkpoint_every=100,
    )
    quiet = dataclasses.replace(config, keep=0.999, optim=dataclasses.replace(config.optim, lr=1e-3))
    save_config(dataclasses.replace(config, sharding="fsdp2"), folder / "fsdp2.yaml")
    save_config(quiet, folder / "broken.yaml")
    lora = dataclasses.replace(encoder, train="lora:2")
    save_config(dataclasses.replace(quiet, encoder=lora, keep=0.0, max_steps=2), folder / "lora.yaml")
    unmeasured = dataclasses.replace(quiet, keep=0.0, log_every=2, checkpoint_every=2)
    for name in ("unmeasured", *ADAPTED):
        save_config(unmeasured, folder / f"{name}.yaml")
    for name in ADAPTED:  # as `adapt` begins a run
        (folder / name).mkdir()
        (folder / name / ADAPTS).touch()
    (folder / "train.py").write_text(TRAIN)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [*launcher, str(folder / "train.py"), str(folder), *RUNS, "unmeasured", "lora", *ADAPTED]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stderr)
    return folder


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_the_run_ends_with_its_last_good_state(name, trained):
    run = trained / name
    lines = _lines(run)
    seen = [line for line in lines if "watched_lost" in line]
    keep = 0.999 if name == "broken" else 0.05
    good = max(line["step"] for line in seen if line["watched_lost"] <= keep)
    assert lines[-1]["ends_with"] == good > 0
    state = torch.load(run / "checkpoints" / f"step-{good:08d}.pt", weights_only=True)["learner"]
    assert all(torch.equal(state[name], tensor) for name, tensor in load_run(run)[1].state_dict().items())


@pytest.mark.parametrize("name", [*RUNS, "adapted"])
def test_all_processes_end_with_the_state_that_the_run_ends_with(name, trained):
    run = trained / name
    checkpoint = run / "checkpoints" / f"step-{_lines(run)[-1]['ends_with']:08d}.pt"
    state = torch.load(checkpoint, weights_only=True)["learner"]
    for rank in (0, 1):
        ended = torch.load(f"{run}-{rank}.pt", weights_only=True)
        assert state.keys() == ended.keys()
        assert all(torch.equal(state[part], tensor) for part, tensor in ended.items())


def test_lora_is_merged_in_all_processes(trained):
    first, second = (torch.load(f"{trained / 'lora'}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert not [name for name in first if "lora" in name]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    start = load_file(load_run(trained / "lora")[0].encoder.weights)
    assert any(not torch.equal(tensor, first[f"encoder.model.{name}"]) for name, tensor in start.items())


def test_of_a_divided_encoder_the_whole_is_measured(trained):
    run = trained / "fsdp2"
    config, learner = load_run(run)
    good = {line["step"]: line for line in _lines(run) if "watched_lost" in line}[_lines(run)[-1]["ends_with"]]
    loader = Loader(open_images(config.data, "train"), 32, threads=1)
    watch = Watch(learner.encoder, learner.pool, loader, size=32, keep=0.05, bfloat16=False)
    start = load_file(config.encoder.weights)
    watch.measure(0, {f"encoder.model.{name}": tensor for name, tensor in start.items()})
    seen = watch.measure(good["step"], learner.state_dict())
    assert seen.lost > 0
    assert good["watched_lost"] == pytest.approx(seen.lost, rel=1e-3, abs=1e-6)


def test_a_loss_that_breaks_in_one_process_ends_all(trained):
    last = _lines(trained / "broken")[-1]
    assert (last["step"], last["ends_with"]) == (5, 4)
    assert last["stopped"].startswith("a loss or a feature of another process is not finite at step 5; so the run")


def test_all_processes_name_the_first_broken_step_and_the_checkpoint_right_before(trained):
    said = [(trained / f"unmeasured-{rank}.txt").read_text() for rank in (0, 1)]
    assert "another process is not finite at step 5; its newest checkpoint is of step 4, right before. Move" in said[0]
    assert "is nan at step 5; its newest checkpoint is of step 4, right before. Move" in said[1]


def test_an_adaptation_whose_loss_breaks_ends_in_all_processes_with_the_newest_good_checkpoint(trained):
    run = trained / "adapted"
    assert not list(trained.glob("adapted-*.txt")), "no process has an error"
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["step-00000002.pt", "step-00000004.pt"]
    assert _lines(run)[-1]["ends_with"] == 2
    state = torch.load(run / "checkpoints" / "step-00000002.pt", weights_only=True)["learner"]
    assert all(torch.equal(state[name], tensor) for name, tensor in load_run(run)[1].state_dict().items())


def test_where_no_checkpoint_can_be_read_no_process_waits_for_the_first(trained):
    assert len(list(trained.glob("unreadable-*.txt"))) == 2
    assert (
        "unreadable has no checkpoint that the run could end with: it cannot be read ("
        in (trained / "said.txt").read_text()
    )
