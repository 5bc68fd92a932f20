"""Health of a run: spread and rank of the features, signs of collapse, and a stop at a loss that is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from equicoherence.devices import float64


def feature_std(z: Tensor) -> Tensor:
    """Return the mean over features of the standard deviation over rows of z (B, D); 0 is a full collapse."""
    return z.float().std(dim=0).mean()


def relative_spread(z: Tensor) -> Tensor:
    """Return the standard deviation over rows of z (B, D) as a share of its root mean square, 0 to about 1."""
    z = z.float()
    return z.std(dim=0).square().mean().sqrt() / z.square().mean().sqrt().clamp_min(1e-12)


def effective_rank(z: Tensor) -> Tensor:
    """Return exp of the entropy of the normalised singular values of centred z (B, D), 1 to min(B, D).

    Roy and Vetterli, 2007 (RankMe, Garrido et al., 2023, without centring).
    """
    z = z.float() - z.float().mean(dim=0)
    gram = z @ z.T if len(z) < z.shape[1] else z.T @ z
    values = torch.linalg.eigvalsh(float64(gram)).clamp_min(0).sqrt()
    share = values / values.sum().clamp_min(1e-12)
    return torch.exp(-(share * share.clamp_min(1e-12).log()).sum())


def first_not_finite(history: Tensor, names: list[str], first_step: int) -> tuple[int, str] | None:
    """Return the first step of ``history`` (steps, terms) with a term that is not finite, and a sentence; or None."""
    bad = (~torch.isfinite(history)).nonzero()
    if len(bad) == 0:
        return None
    row, column = bad[0].tolist()
    step = first_step + row
    return step, f"{names[column]} is {history[row, column].item()} at step {step}"


class CollapseWatch:
    """Say once, in a sentence with the likely cause, that a method has collapsed.

    A sign must show in three lines of metrics one after another, after a tenth of all steps: many methods pass through
    a narrow place at the start. prototypes: of the teacher, 0 for none.
    """

    LINES = 3

    def __init__(self, total_steps: int, prototypes: int = 0) -> None:
        self.start, self.prototypes = total_steps // 10, prototypes
        self._seen: dict[str, int] = {}

    def note(self, line: Mapping[str, Any]) -> str | None:
        """Return the sentence when a line of metrics completes the sign."""
        if line["step"] <= self.start:
            return None
        line = {name: value for name, value in line.items() if value is not None}  # null: not finite
        for sign in _SIGNS:
            if not sign(line, self.prototypes):
                self._seen[sign.__name__] = 0
                continue
            self._seen[sign.__name__] = self._seen.get(sign.__name__, 0) + 1
            if self._seen[sign.__name__] == self.LINES:
                return f"collapse at step {line['step']:.0f}: {sign.__doc__}"
        return None


def _constant(line: dict[str, float], prototypes: int) -> bool:
    """all images get nearly the same features. Likely causes: a learning rate too high, a variance or contrast term
    too weak, a teacher that moves too fast (momentum too low), or an augmentation that removes all differences."""
    return line.get("spread_invariant", 1.0) < 0.01


def _one_direction(line: dict[str, float], prototypes: int) -> bool:
    """the invariant features vary along one direction alone. Likely causes: a covariance, redundancy or KoLeo term too
    weak, or a learning rate too high."""
    return line.get("rank_invariant", math.inf) < 1.5


def _one_prototype(line: dict[str, float], prototypes: int) -> bool:
    """the teacher gives nearly all images the same prototype. Likely causes: centring too slow (centre_momentum too
    high), teacher_temperature too low, or a learning rate too high; centring sinkhorn rules it out."""
    return prototypes > 1 and line.get("prototype_entropy", math.inf) < 0.05 * math.log(prototypes)


def _uniform(line: dict[str, float], prototypes: int) -> bool:
    """the teacher gives each image all prototypes alike. Likely causes: teacher_temperature too high, or a learning
    rate too low for the head to move at all."""
    return prototypes > 1 and line.get("teacher_entropy", 0.0) > 0.995 * math.log(prototypes)


_SIGNS = (_constant, _one_direction, _one_prototype, _uniform)
