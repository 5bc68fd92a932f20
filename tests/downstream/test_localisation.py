"""Localisation: a head on frozen tokens says where the one object is."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torchvision.ops import box_iou

from equicoherence.downstream.localisation.scoring import BoxHead, box_scores, paired_iou
from equicoherence.downstream.localisation.task import Localisation
from equicoherence.evaluation.task import no_bar

from .bright_squares import OneSquare
from .colour_regions import small_model

TASK = Localisation(pixels=32, steps=150, batch=16, lr=1e-2)


def test_squares_are_located_better_than_by_the_mean_box() -> None:
    score = TASK.score(small_model(), OneSquare(64, 0), OneSquare(24, 1), no_bar)
    rows = {row.metric: row for row in score.rows}
    assert set(rows) == set(TASK.metrics)
    for row in score.rows:
        assert row.floor is not None
        assert row.value > row.floor + 0.1
    assert score.counts == {"train": 64, "val": 24}
    assert len(score.pictures) == 6


def test_the_same_seed_gives_the_same_scores_and_another_others() -> None:
    task, sets = dataclasses.replace(TASK, steps=5), (OneSquare(8, 0), OneSquare(8, 1))
    values = [
        [row.value for row in each.score(small_model(), *sets, no_bar).rows]
        for each in (task, task, dataclasses.replace(task, seed=1))
    ]
    assert values[0] == values[1] != values[2]


def test_limits_spread_over_the_set() -> None:
    task = dataclasses.replace(TASK, steps=1, train=5, test=3)
    assert task.score(small_model(), OneSquare(8, 0), OneSquare(8, 1), no_bar).counts == {"train": 5, "val": 3}
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        Localisation(batch=0)


def test_paired_iou_is_the_diagonal_of_torchvisions() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(2, 200, 2, 2, generator=generator).sort(dim=2).values.flatten(2) + 1e-3).unbind()
    expected = box_iou(first, second).diagonal()
    torch.testing.assert_close(paired_iou(first, second), expected, atol=1e-6, rtol=0)
    scores = box_scores(first, second)
    assert scores["iou"] == pytest.approx(float(expected.mean()), abs=1e-6)
    assert scores["corloc"] == pytest.approx(float((expected >= 0.5).float().mean()), abs=1e-6)


def test_an_untrained_head_says_the_mean_box() -> None:
    mean = torch.tensor([0.2, 0.1, 0.7, 0.9])
    boxes = BoxHead(12, mean)(torch.randn(3, 4, 6, 12))
    torch.testing.assert_close(boxes, mean.expand(3, 4))
