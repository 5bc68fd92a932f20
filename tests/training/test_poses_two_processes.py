"""Training on poses in two processes: who sees which objects, and a run that is interrupted."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.data import PosePaths
from equicoherence.methods.sie import SIEConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.rendering import render
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, pretrain
from equicoherence.training.config_file import save_config
from equicoherence.training.parts import Parts
from tests.training.test_many_processes import TRAIN

EACH, STEPS = 8, 4  # objects in a process's batch
NAMES = ("sie", "task")

# each process notes the images it trains on, before they are made views
WATCH = """
import os
import sys
from pathlib import Path
from equicoherence.training.parts import Parts
batches = Parts.batches
def watched(run):
    with (Path(sys.argv[1]) / f"seen-{run.out.name}-{run.rank}.txt").open("w") as seen:
        for step, batch in batches(run):
            print(step, *batch.index.tolist(), file=seen, flush=True)
            yield step, batch
Parts.batches = watched
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("renders") / "set"
    render("procedural", folder, views=2, size=32, paths=1, states=2, objects=2, workers=2)
    return folder


def config(name: str, data, each: int) -> PretrainConfig:
    """Return the told method, or the task; ``each``: objects in a process's batch."""
    told = name == "sie"
    return PretrainConfig(
        name=name,
        method=SIEConfig(d_equi=8, width=16) if told else VICRegConfig(width=16),
        encoder=EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8], "output_stride": 8}),
        d=16,
        coherence=None if told else CoherenceConfig(d_equi=8, decoder="conv", states=2),
        views=ViewsConfig(size=32, source=32, path="poses"),
        optim=OptimConfig(epochs=3, batch_size=each),
        data=str(data),
        log_every=1,
        checkpoint_every=2,
        max_steps=STEPS,
        threads=1,
    )


@pytest.fixture(scope="module")
def together(data, tmp_path_factory):
    """Train each configuration in two processes, and once more from half-way."""
    folder = tmp_path_factory.mktemp("together")
    for name in NAMES:
        save_config(config(name, data, EACH), folder / f"{name}.yaml")
    (folder / "train.py").write_text(WATCH + TRAIN)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    jobs = [job for name in NAMES for job in (name, f"{name}-on:{name}")]
    command = [*launcher, str(folder / "train.py"), str(folder), *jobs]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return folder


def seen(folder, run: str, rank: int) -> np.ndarray:
    """Return the images (steps, objects, group) that a process trained on; first in a group are the two views."""
    steps = np.loadtxt(folder / f"seen-{run}-{rank}.txt", dtype=np.int64, ndmin=2)
    return steps[:, 1:].reshape(len(steps), EACH, -1)


def lines(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_see_different_objects_and_together_those_of_one_with_the_joined_batch(
    name, data, together, tmp_path, monkeypatch
):
    batches, joined = Parts.batches, []

    def watched(run):
        for step, batch in batches(run):
            joined.append(batch.index.numpy())
            yield step, batch

    monkeypatch.setattr(Parts, "batches", watched)
    pretrain(config(name, data, 2 * EACH), tmp_path / "alone")
    ranks = [seen(together, name, rank) for rank in (0, 1)]
    both = np.concatenate(ranks, axis=1)
    assert both.shape[:2] == (STEPS, 2 * EACH)
    assert np.array_equal(both.reshape(STEPS, -1), np.stack(joined))
    source = PosePaths(data, "train").benchmark
    for step in range(STEPS):
        first, second = (set(source.objects[rank[step, :, 0]]) for rank in ranks)
        assert len(first) == len(second) == EACH
        assert not first & second
        assert np.array_equal(source.objects[both[step, :, 0]], source.objects[both[step, :, 1]])


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_two_processes_that_is_resumed_ends_with_the_same_bits(name, together):
    whole, resumed = together / name, together / f"{name}-on"
    for rank in (0, 1):
        assert np.array_equal(seen(together, f"{name}-on", rank), seen(together, name, rank)[2:])
    for file in ("model.safetensors", "heads.safetensors"):
        a, b = (load_file(run / file) for run in (whole, resumed))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a), file
    assert [line["loss"] for line in lines(resumed)] == [line["loss"] for line in lines(whole)]
