"""The verdict in words: it is of the scores of the runs themselves, whichever arm is better."""

from __future__ import annotations

from typing import Any

from equicoherence.evaluation.task import Row
from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.verdict_text import verdict_text
from tests.reporting.scored import part, scores


def scored(
    rotation: float, scale: float, knn: float, noise: float = 0.0, within: float | None = None
) -> list[dict[str, Any]]:
    """Return scores of one run. within: half of the interval of an R2."""
    about: dict[str, Any] = {"border": "content", "representation": "backbone", "probe": "mlp"}
    rows = [
        Row("r2", value, target=name, interval=None if within is None else (value - within, value + within), **about)
        for name, value in (("rotation", rotation), ("scale", scale))
    ]
    rows += [Row(NOISE, noise, target="rotation, absolute", representation="backbone", probe="mlp")]
    of_classes = [Row("top1", knn, representation="backbone", floor=0.1)]
    return [scores([part(rows, task="transformation", probe_order=["mlp"]), part(of_classes)])]


PLAIN = scored(0.3, 0.5, 0.80)


def test_a_better_arm_gained_and_the_rest_is_kept() -> None:
    assert verdict_text({"plain": PLAIN, "with-task": scored(0.9, 0.51, 0.80)}, "plain") == (
        "Against plain, with-task gained rotation 0.300 → 0.900. Kept: scale 0.500 → 0.510, k-NN 80.0 % → 80.0 %. "
        "Nothing is clearly worse."
    )


def test_a_worse_arm_gained_nothing_and_what_is_worse_is_named() -> None:
    assert verdict_text({"plain": PLAIN, "with-task": scored(0.2, 0.5, 0.70)}, "plain") == (
        "Against plain, with-task gained nothing. Kept: scale 0.500 → 0.500. "
        "Worse: rotation 0.300 → 0.200, k-NN 80.0 % → 70.0 %. "
        "One reason: a part of the features and of the training is spent on the task."
    )


def test_a_gain_within_the_intervals_is_not_clear() -> None:
    wide, higher = scored(0.3, 0.5, 0.80, within=0.1), scored(0.4, 0.5, 0.80, within=0.1)
    said = verdict_text({"plain": wide, "with-task": higher}, "plain")
    assert said.startswith("Against plain, with-task gained nothing clearly. Kept: scale 0.500 → 0.500")
    assert "; not clear: rotation 0.300 → 0.400. Nothing is clearly worse." in said


def test_a_gain_that_is_read_from_noise_is_none() -> None:
    said = verdict_text({"plain": PLAIN, "with-task": scored(0.9, 0.9, 0.9, noise=0.3)}, "plain")
    assert said == (
        "Against plain, with-task gained scale 0.500 → 0.900, k-NN 80.0 % → 90.0 %. "
        "Not to be trusted: rotation 0.300 → 0.900 (R2 on noise of with-task: 0.300). Nothing is clearly worse."
    )


def test_without_scores_of_another_arm_nothing_is_said() -> None:
    assert verdict_text({"plain": PLAIN}, "plain") == ""
