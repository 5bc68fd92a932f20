"""Runs of a comparison in processes of their own: the same bits, resumable, and errors that reach the caller."""

import dataclasses
import os
import signal
import threading
import time

import pytest
import torch
from safetensors.torch import load_file

from equicoherence.arms import Arm, at_once, check_jobs, shared_out
from equicoherence.comparing import compare
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.methods import METHODS
from equicoherence.training import Interrupted
from equicoherence.training.config_file import save_config
from tests.distil import Distil, DistilConfig
from tests.small import picture_folder, small_config

QUICK = {
    "transformation": {
        "transformations": ("rotation",),
        "borders": ("content",),
        "probes": ("linear",),
        "train": 30,
        "test": 9,
    }
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


def _rows(run):
    return [part["rows"] for part in read_scores(run / FILE)["parts"].values()]


def test_interrupted_and_resumed_side_by_side_ends_with_the_bits_of_one_after_the_other(data, tmp_path):
    config = small_config(data, max_steps=3, threads=0, log_every=1, checkpoint_every=1)
    arguments = {"tasks": ("transformation",), "settings": QUICK}
    both = {"ours": config, "plain": config.plain()}

    def interrupt():
        deadline = time.monotonic() + 300
        while not list((tmp_path / "two").glob("*/metrics.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted, match="the same command goes on"):
        compare(both, tmp_path / "two", jobs=2, **arguments)
    two, one = (compare(both, tmp_path / name, jobs=jobs, **arguments) for name, jobs in (("two", 2), ("one", 1)))
    for name in both:
        (a,), (b,) = two[name], one[name]
        left, right = (load_file(run / "model.safetensors") for run in (a, b))
        assert all(torch.equal(left[key], right[key]) for key in right)
        assert _rows(a) == _rows(b)
    assert torch.get_num_threads() == 2


def test_what_fails_in_a_process_of_its_own_fails_the_comparison_with_its_text(data, tmp_path):
    large = small_config(data, max_steps=1)
    large = dataclasses.replace(large, optim=dataclasses.replace(large.optim, batch_size=1000))
    with pytest.raises(ValueError, match="1000"):
        compare({"large": large, "plain": large.plain()}, tmp_path, tasks=("transformation",), jobs=2)
    assert not list(tmp_path.glob("*/config.yaml"))


def test_threads_are_an_arms_share_whatever_the_jobs_and_a_run_keeps_its_own(data, tmp_path):
    config = small_config(data, threads=0)
    assert [shared_out(config, tmp_path / "new", arms).threads for arms in (1, 2, 5)] == [2, 1, 1]
    assert shared_out(dataclasses.replace(config, threads=3), tmp_path / "new", 2).threads == 3
    (tmp_path / "old").mkdir()
    save_config(dataclasses.replace(config, threads=7), tmp_path / "old" / "config.yaml")
    assert shared_out(config, tmp_path / "old", 2).threads == 7


def test_as_many_arms_are_worked_on_at_once_as_the_cpu_and_its_memory_are_enough_for(data, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, DistilConfig, Distil)

    def arms(**changes):
        config = small_config(data, **{"threads": 1, **changes})
        return [Arm(config, tmp_path / name, (), {}, False) for name in "abc"]

    assert at_once(arms(), None) == 2
    assert at_once(arms(threads=2), None) == 1
    assert at_once(arms(cache=10**9), None) == 1
    assert at_once(arms(method=DistilConfig(prototypes=24)), None) == 1
    assert at_once(arms(), 8) == 3
    with pytest.raises(ValueError, match="--jobs is 0"):
        check_jobs(0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert at_once(arms(), None) == 1
    with pytest.raises(ValueError, match="--jobs is 2"):
        check_jobs(2)
