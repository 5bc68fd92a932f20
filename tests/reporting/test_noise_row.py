"""The R2 on noise stands beside the R2 that it is a control of, and says where that is not to be trusted."""

import dataclasses

import pytest

from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.main_figures import score_grid
from equicoherence.reporting.summary import Score

R2 = Score(
    *("ours", "transformation", "pictures", "frozen", "rotation", "content", "backbone", "mlp", "r2", "", ""),
    mean=0.6, std=None, low=0.6, high=0.6, n=1, over="runs", floors=(0.0, 0.0), main=True, higher=True,
)  # fmt: skip


@pytest.mark.parametrize(("found", "trusted"), [(0.019, True), (0.03, False), (-0.03, False)])
def test_a_table_says_whether_its_figures_can_be_trusted(found, trusted):
    noise = dataclasses.replace(R2, metric=NOISE, mean=found, low=found, high=found, main=False)
    elsewhere = dataclasses.replace(noise, probe="linear")  # of a probe whose R2 is no main figure
    first, second = score_grid([R2, noise, elsewhere], ["ours"]).rows
    assert first[0] == "transformation rotation R2 (content)"
    assert str(second[0]).startswith("transformation rotation R2 on noise (content)")
    assert ("not to be trusted" not in str(second[0])) == trusted
