"""The R2 on noise stands beside the R2 that it is a control of, and says where that is not to be trusted."""

import dataclasses

import pytest

from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.main_figures import score_grid
from equicoherence.reporting.noise_limit import noisy_transformations, with_warning
from equicoherence.reporting.summary import Score

R2 = Score(
    *("ours", "transformation", "pictures", "frozen", "rotation", "content", "backbone", "mlp", "r2", "", ""),
    mean=0.6, std=None, low=0.6, high=0.6, n=1, over="runs", floors=(0.0, 0.0), main=True, higher=True,
)  # fmt: skip


def noise(mean: float, target: str = "rotation", name: str = "ours") -> Score:
    return dataclasses.replace(R2, name=name, target=target, metric=NOISE, mean=mean, low=mean, high=mean, main=False)


@pytest.mark.parametrize(("found", "trusted"), [(0.019, True), (0.03, False), (-0.03, False)])
def test_a_table_says_whether_its_figures_can_be_trusted(found, trusted):
    elsewhere = dataclasses.replace(noise(found), probe="linear")  # of a probe whose R2 is no main figure
    first, second = score_grid([R2, noise(found), elsewhere], ["ours"]).rows
    assert first[0] == "transformation rotation R2 (content)"
    assert str(second[0]).startswith("transformation rotation R2 on noise (content)")
    assert str(second[0]).endswith("do not trust the scores of rotation") != trusted


def test_a_table_of_several_says_whose_scores_cannot_be_trusted():
    entries = [*(dataclasses.replace(R2, name=name) for name in "ab"), noise(0.0, name="a"), noise(0.03, name="b")]
    _, row = score_grid(entries, ["a", "b"]).rows
    assert str(row[0]).endswith("do not trust the scores of rotation of b")


def test_transformations_are_judged_one_by_one():
    scores = [noise(0.05), noise(0.01, "translation"), noise(0.05, "translation, absolute"), noise(-0.021, "scale")]
    assert noisy_transformations([*scores, R2]) == ["rotation", "scale"]
    assert noisy_transformations([noise(0.0), noise(-0.051, "rotation, absolute")]) == ["rotation"]
    assert with_warning("0.600", R2) == "0.600"
    assert with_warning("0.050", scores[0]) == "0.050 (!)"
    of_one = dataclasses.replace(noise(-0.024, "translation"), parameter="y")
    assert noisy_transformations([of_one]) == []
    assert with_warning("0.024", of_one) == "0.024"
