"""Callbacks are called when they say and see the run as it is; with all that looks on it ends with the same bits."""

import contextlib
import json
import os
import re
import runpy
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from equicoherence import Callback, pretrain
from equicoherence.training import Interrupted
from tests.small import picture_folder, small_config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "callback.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", 60)


class Diary(Callback):
    """Note down each call, draw random numbers, write a line, and stop the run at a step."""

    def __init__(self, stop=0):
        self.calls, self.stop, self.losses = [], stop, {}

    def on_start(self, moment):
        self.calls.append(("start", moment.step))

    def on_step(self, moment):
        assert moment.is_main
        assert moment.total == 4
        self.calls.append(("step", moment.step))
        self.losses[moment.step] = {name: float(value) for name, value in moment.losses.items()}
        torch.rand(3)
        moment.note({"double": 2.0 * moment.step})
        if moment.step == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_checkpoint(self, moment, path):
        assert path.is_file()
        self.calls.append(("checkpoint", moment.step))

    def on_end(self, moment):
        assert (moment.out / "samples.npz").is_file()
        self.calls.append(("end", moment.step))


def _lines(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("images_per_second", "seconds")} for line in lines]


def _same_weights(a, b):
    for name in ("model.safetensors", "heads.safetensors"):
        left, right = load_file(a / name), load_file(b / name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[k], right[k]) for k in left)


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory):
    return pretrain(small_config(data, max_steps=4, log_every=1), tmp_path_factory.mktemp("plain") / "run")


def test_they_are_called_in_order_with_what_the_run_writes_and_change_no_bit(data, plain, tmp_path):
    first, second = Diary(), Diary()
    run = pretrain(small_config(data, max_steps=4, log_every=1), tmp_path / "run", callbacks=[first, second])
    steps = [("step", 1), ("step", 2), ("checkpoint", 2), ("step", 3), ("step", 4), ("checkpoint", 4)]
    assert first.calls == second.calls == [("start", 0), *steps, ("end", 4)]
    lines = _lines(run)
    assert [line["double"] for line in lines if "double" in line] == [2, 2, 4, 4, 6, 6, 8, 8]
    for line in [line for line in lines if "loss" in line]:
        for name, value in first.losses[line["step"]].items():
            assert value == pytest.approx(line[name], rel=1e-5)
    _same_weights(plain, run)
    assert [line for line in lines if "loss" in line] == _lines(plain)


def test_resumed_with_all_that_looks_on_a_run_ends_with_the_same_bits_and_lines(data, plain, tmp_path):
    looks = {"watch": "knn,rotation", "watch_every": 2, "track": "tensorboard", "checkpoint_every": 100, "log_every": 1}
    config = small_config(data, max_steps=4, **looks)
    whole = pretrain(config, tmp_path / "whole", callbacks=[Diary()])
    with pytest.raises(Interrupted, match="step 3 of 4"):
        pretrain(config, tmp_path / "run", callbacks=[Diary(stop=3)])
    diary = Diary()
    run = pretrain(config, tmp_path / "run", resume=True, callbacks=[diary])
    assert diary.calls == [("start", 3), ("step", 4), ("checkpoint", 4), ("end", 4)]
    _same_weights(whole, run)
    _same_weights(plain, run)
    assert _lines(whole) == _lines(run)
    assert [line["step"] for line in _lines(run) if "held_out_knn" in line] == [0, 2, 4]


def test_the_code_on_the_page_runs(data, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "callbacks.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {"config": small_config(data, max_steps=1)})  # the page's own words
    assert _lines(tmp_path / "runs" / "mine")[-1]["weight_norm"] > 0


def test_the_example_runs(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["callback.py", "2", str(data), str(tmp_path / "run")])
    with contextlib.suppress(SystemExit):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("step 1 of 2: cosine to the start 0.")
    assert said[0].endswith("saved as step-00000001.pt")
    assert said[-1] == f"{tmp_path / 'run'} is done"
    assert sum("cosine_to_start" in line for line in _lines(tmp_path / "run")) == 2
    assert len(EXAMPLE.read_text().splitlines()) < 60
