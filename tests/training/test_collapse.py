"""A method that fails says so, once, with the likely cause."""

import dataclasses
import json
import math

import pytest
import torch

from equicoherence.methods import DINOConfig, VICRegConfig
from equicoherence.training import OptimConfig, pretrain
from equicoherence.training.health import CollapseWatch, relative_spread
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
    watch = CollapseWatch(1000)
    assert [watch.note({"step": step, **values}, 64) for step in range(20, 101, 20)] == [None] * 5
    assert [watch.note({"step": step, **values}, 64) for step in (120, 140)] == [None] * 2
    assert watch.note({"step": 160.0}, 64) is None  # gone again
    said_at = [watch.note({"step": step, **values}, 64) for step in range(200, 300, 20)]
    assert said_at[2] is not None
    assert said in said_at[2]
    assert said_at.count(None) == 4


def test_relative_spread_is_of_the_scale_of_the_features():
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    assert float(relative_spread(z)) == pytest.approx(1.0, abs=0.05)
    assert float(relative_spread(100 * z + 1e6)) < 1e-3
