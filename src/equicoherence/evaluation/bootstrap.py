"""Bootstrap intervals: how much a score depends on the choice of test images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

RESAMPLES = 300
COVERED = 0.95
SEED = 0


def resampled(score: Callable[[Tensor], Tensor], count: int) -> Tensor:
    """Return scores (`RESAMPLES`, ...) of bootstrap samples of the test images, the same samples each time.

    score: the score of the images with these indices (``count``,).
    count: number of test images.
    """
    return torch.stack([score(rows) for rows in _draws(count)])


@lru_cache(maxsize=2)
def times_drawn(count: int) -> Tensor:
    """Return how often each test image is among those that `resampled` draws, (`RESAMPLES`, ``count``), float64: sums
    over the images drawn are products with it."""
    with torch.inference_mode(False):
        return torch.stack([rows.bincount(minlength=count) for rows in _draws(count)]).double()


def _draws(count: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(RESAMPLES):
        yield torch.randint(count, (count,), generator=generator)


def interval(scores: Tensor) -> tuple[float, float] | None:
    """Return the ends of the middle 95 % of resampled scores (`RESAMPLES`,), None if one of them is no number."""
    if not bool(scores.isfinite().all()):
        return None
    ends = torch.tensor([(1 - COVERED) / 2, (1 + COVERED) / 2], dtype=torch.float64)
    low, high = torch.quantile(scores.double().cpu(), ends).tolist()
    return low, high


def share_interval(right: Tensor) -> tuple[float, float] | None:
    """Return the interval of an accuracy; right: (M,), of each test image whether it is right."""
    right = right.float().cpu()
    return interval(resampled(lambda rows: right[rows].mean(), len(right)))
