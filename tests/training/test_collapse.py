"""A method that fails says so, once, with the likely cause."""

import dataclasses
import json
import math

import pytest
import torch

from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training import OptimConfig, pretrain
from equicoherence.training.health import CollapseWatch, relative_spread
from equicoherence.training.learner import LearnerOutput
from equicoherence.training.metrics import Metrics, drop_after
from tests.small import picture_folder, small_config


def sentences(run) -> list[str]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["collapse"] for line in lines if "collapse" in line]


def config(folder, method, lr=1e-2):
    optim = OptimConfig(epochs=20, batch_size=16, lr=lr, warmup=0.0)
    return dataclasses.replace(small_config(folder).plain(), method=method, optim=optim, log_every=4)


def test_vicreg_as_it_is_says_nothing(tmp_path):
    folder = picture_folder(tmp_path / "data")
    run = pretrain(config(folder, VICRegConfig(1.0, 1.0, 0.04, width=12), lr=1e-3), tmp_path / "run")
    assert sentences(run) == []


def test_dino_without_centring_gives_all_images_one_prototype_and_says_so(tmp_path):
    folder = picture_folder(tmp_path / "data")
    method = DINOConfig(
        prototypes=16,
        hidden=16,
        bottleneck=8,
        centre_momentum=1.0,
        teacher_temperature=(0.01, 0.01),
        student_temperature=0.02,
        momentum=0.5,
    )
    run = pretrain(config(folder, method), tmp_path / "run")
    assert any("same prototype" in sentence for sentence in sentences(run))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"spread_invariant": 1e-4}, "nearly the same features"),
        ({"rank_invariant": 1.2}, "one direction"),
        ({"prototype_entropy": 0.01}, "same prototype"),
        ({"teacher_entropy": math.log(64)}, "all prototypes alike"),
    ],
)
def test_a_sign_counts_after_a_tenth_of_the_steps_when_it_stays(values, said):
    watch = CollapseWatch(1000, 64)
    assert [watch.note({"step": step, **values}) for step in range(20, 101, 20)] == [None] * 5
    assert [watch.note({"step": step, **values}) for step in (120, 140)] == [None] * 2
    assert watch.note({"step": 160.0}) is None  # gone again
    said_at = [watch.note({"step": step, **values}) for step in range(200, 300, 20)]
    assert said_at[2] is not None
    assert said in said_at[2]
    assert said_at.count(None) == 4


@pytest.mark.parametrize("resumed_at", [30, 40, 60, 80])
def test_a_resumed_run_says_what_an_uninterrupted_one_says(resumed_at, tmp_path):
    """Before the sign counts, between its lines, and after it was said."""

    def write(path, metrics, steps):
        for step in steps:
            metrics.add({"loss": torch.tensor(1.0)}, torch.tensor(1.0), 1)
            output = LearnerOutput({}, {"invariant": torch.ones(8, 4)}, None)
            metrics.flush(step, 0.0, 1e-3, output, (torch.tensor([math.log(64), 2.0]), 64))
        return [(line["step"], line.get("collapse")) for line in map(json.loads, path.read_text().splitlines())]

    steps = range(10, 101, 10)
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    expected = write(whole, Metrics(whole, None, 200, 64), steps)
    assert [step for step, said in expected if said] == [50, 60, 70]  # three signs, one a line
    write(part, Metrics(part, None, 200, 64), range(10, resumed_at + 21, 10))
    drop_after(part, resumed_at)
    after = range(resumed_at + 10, 101, 10)
    assert write(part, Metrics(part, None, 200, 64, resumed_at), after) == expected


def test_relative_spread_is_of_the_scale_of_the_features():
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    assert float(relative_spread(z)) == pytest.approx(1.0, abs=0.05)
    assert float(relative_spread(100 * z + 1e6)) < 1e-3
