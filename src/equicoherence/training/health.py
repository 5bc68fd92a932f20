"""Is the run well: spread and rank of the features, and a stop at the first loss that is not finite."""

from __future__ import annotations

import torch
from torch import Tensor


class NotFinite(RuntimeError):
    """A loss term became NaN or infinite."""


def feature_std(z: Tensor) -> Tensor:
    """Return the mean over features of the standard deviation over rows of z (B, D); 0 is a full collapse."""
    return z.float().std(dim=0).mean()


def effective_rank(z: Tensor) -> Tensor:
    """Return exp of the entropy of the normalised singular values of centred z (B, D), 1 to min(B, D).

    Roy and Vetterli, 2007 (RankMe, Garrido et al., 2023, without centring).
    """
    z = z.float() - z.float().mean(dim=0)
    gram = z @ z.T if len(z) < z.shape[1] else z.T @ z
    values = torch.linalg.eigvalsh(gram.double()).clamp_min(0).sqrt()
    share = values / values.sum().clamp_min(1e-12)
    return torch.exp(-(share * share.clamp_min(1e-12).log()).sum())


def first_not_finite(history: Tensor, names: list[str], first_step: int) -> str | None:
    """Return a sentence naming the first term and step of ``history`` (steps, terms) that is not finite, or None."""
    bad = (~torch.isfinite(history)).nonzero()
    if len(bad) == 0:
        return None
    row, column = bad[0].tolist()
    return f"{names[column]} is {history[row, column].item()} at step {first_step + row}"
