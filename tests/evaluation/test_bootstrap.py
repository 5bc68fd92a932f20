"""Intervals over test images: as wide as theory has them, the same each time."""

from __future__ import annotations

import math

import pytest
import torch

from equicoherence.evaluation.bootstrap import interval, resampled, share_interval
from equicoherence.ridge import r2_score


@pytest.mark.parametrize(("share", "count"), [(0.5, 400), (0.9, 1000)])
def test_the_interval_of_an_accuracy_is_as_wide_as_the_binomials(share: float, count: int) -> None:
    right = torch.arange(count) < share * count
    found = share_interval(right)
    assert found is not None
    wanted = 1.96 * math.sqrt(share * (1 - share) / count)
    assert found[0] == pytest.approx(share - wanted, abs=0.25 * wanted)
    assert found[1] == pytest.approx(share + wanted, abs=0.25 * wanted)
    assert found == share_interval(right)


def test_the_interval_of_r2_holds_the_true_one_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(1)
    hits = 0
    for _ in range(50):
        truth = torch.randn(300, 1, generator=generator)
        predicted = truth + 0.5 * torch.randn(300, 1, generator=generator)  # R2 of 1 - .25
        ends = interval(resampled(lambda rows, p=predicted, t=truth: r2_score(p[rows], t[rows])[0], 300))
        assert ends is not None
        hits += ends[0] < 0.75 < ends[1]
    assert 43 <= hits <= 50


def test_scores_that_are_no_numbers_have_none() -> None:
    assert interval(torch.tensor([0.5, math.nan])) is None
