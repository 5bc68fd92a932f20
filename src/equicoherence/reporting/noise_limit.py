"""The limits of R2 on noise: beyond them, the scores of a transformation are not to be trusted. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from equicoherence.evaluation.transformation import ABSOLUTE, NOISE, transformation_of
from equicoherence.reporting.summary import Score

NOISY, NOISY_ABSOLUTE = 0.02, 0.05  # of R2, and of R2 of an absolute value: largest distances from 0
NEAR_ZERO = f"within {NOISY} of 0 ({NOISY_ABSOLUTE} for an absolute value)"
UNTRUSTED = "not to be trusted"  # the verdict on a transformation whose R2 on noise is not near 0


def share_of_limit(score: Score) -> float:
    """Return how far an R2 on noise is from 0, as a share of its limit: above 1 it is not near 0."""
    return abs(score.mean) / (NOISY_ABSOLUTE if score.target.endswith(f", {ABSOLUTE}") else NOISY)


def is_noisy(score: Score) -> bool:
    """Return whether a score is an R2 on noise that is not near 0; that of one parameter alone does not count."""
    return score.metric == NOISE and not score.parameter and share_of_limit(score) > 1


def noisy_transformations(scores: Iterable[Score]) -> list[str]:
    """Return the transformations whose scores are not to be trusted, each once: one of their R2 on noise is not near
    0. Other scores are ignored."""
    return list(dict.fromkeys(transformation_of(score.target) for score in scores if is_noisy(score)))


def with_warning(text: str, score: Score) -> str:
    """Return the text of a score's cell, with a mark where it is an R2 on noise that is not near 0."""
    return f"{text} (!)" if is_noisy(score) else text
