"""PCKh: the share of points that are found to within a part of the head's length (Andriluka et al. 2014)."""

from __future__ import annotations

from torch import Tensor


def relative_errors(predicted: Tensor, places: Tensor, shapes: Tensor, lengths: Tensor) -> Tensor:
    """Return the distances (N, K) between places (N, K, 2), as shares of images of ``shapes`` (N, 2), in ``lengths``
    (N,)."""
    return ((predicted - places) * shapes[:, None]).norm(dim=-1) / lengths[:, None]


def pckh(errors: Tensor, scored: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return which share of the scored points has an error (N, K) of at most ``threshold``: of each point (K,), nan
    where it is never scored, and of all together, as the official figures (Andriluka et al. 2014)."""
    right = (errors <= threshold) & scored
    return right.sum(dim=0) / scored.sum(dim=0), right.sum() / scored.sum()
