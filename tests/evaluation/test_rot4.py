"""Four turns: features that know which way is up, that are blind to mirror images, and that are constant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equicoherence.evaluation import evaluate
from equicoherence.evaluation.rot4.scoring import TURNS, four_turn_rows
from equicoherence.evaluation.task import no_bar
from equicoherence.reporting.comparison.lines import Line
from equicoherence.reporting.comparison.texts import arrowed
from equicoherence.reporting.summary import summarise_scores
from tests.evaluation.rows import rows_of, values_of


class Halves(nn.Module):
    """The brightness of a picture's quarters; ``blind``: the mean of an image and its mirror image."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.blind = blind

    def forward(self, images: Tensor) -> Tensor:
        small = nn.functional.adaptive_avg_pool2d(images.float().mean(dim=1, keepdim=True), 2)
        return ((small + small.flip(3)) / 2 if self.blind else small).flatten(1)


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 3, device=images.device)


def scored(model: nn.Module, folder: Path) -> dict[str, Any]:
    given: dict[str, Any] = {"size": 32, "controls": False, "track": no_bar}
    return evaluate(model, data=folder, tasks=["rot4"], settings={"rot4": {"train": 36, "test": 9}}, **given)


def test_a_feature_that_sees_the_sky_knows_which_way_is_up(folder: Path) -> None:
    scores = scored(Halves(), folder)
    assert values_of(scores, metric="top1") == [1.0]
    assert values_of(scores, metric="confused") == [0.0]
    names = [f"{turn} as {other}" for turn in TURNS for other in TURNS]
    table = {row["parameter"]: row["value"] for row in rows_of(scores, metric="share")}
    assert table == {name: float(name.split(" as ")[0] == name.split(" as ")[1]) for name in names}


def test_a_feature_that_is_blind_to_mirror_images_guesses_between_90_and_270(folder: Path) -> None:
    """So that its four-way accuracy, 75 %, hides that it knows nothing of the side."""
    scores = scored(Halves(blind=True), folder)
    assert values_of(scores, metric="confused") == pytest.approx([0.5], abs=0.1)
    assert values_of(scores, metric="top1") == pytest.approx([0.75], abs=0.05)
    table = {row["parameter"]: row["value"] for row in rows_of(scores, metric="share")}
    assert (table["0 as 0"], table["180 as 180"]) == (1, 1)
    assert table["90 as 90"] + table["90 as 270"] == 1


def test_a_constant_is_right_in_one_case_of_four(folder: Path) -> None:
    scores = scored(Constant(), folder)
    assert values_of(scores, metric="top1") == [0.25]
    assert values_of(scores, metric="confused") == [0.5]


def test_figures_are_those_of_a_loop_over_images() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, truth = torch.randn(40, 4, generator=generator), torch.arange(4).repeat(10)
    right, pair, table = 0, [], torch.zeros(4, 4)
    for scores, turn in zip(logits.tolist(), truth.tolist()):
        told = scores.index(max(scores))
        right += told == turn
        table[turn, told] += 0.1
        if turn in (1, 3):
            pair.append(scores[4 - turn] > scores[turn])
    rows = list(four_turn_rows(logits, truth, "backbone"))
    assert rows[0].value == pytest.approx(right / 40)
    assert rows[1].value == pytest.approx(sum(pair) / 20)
    assert [row.value for row in rows[2:]] == pytest.approx(table.flatten().tolist())
    assert not [row for row in four_turn_rows(torch.zeros(4, 4), torch.arange(4), "") if row.metric == "confused"
                and row.value != 0.5]  # fmt: skip


def test_the_confusion_matrix_has_no_better_side(folder: Path) -> None:
    """Of "90 as 270" a high share is an error, so no arrow points there and nothing is bold."""
    scores = scored(Halves(), folder)
    found = {entry.parameter: entry for entry in summarise_scores({"a": [scores]}) if entry.metric == "share"}
    assert {entry.higher for entry in found.values()} == {None}
    confused = found["90 as 270"]
    assert arrowed(confused) == "share"
    assert Line({"a": confused, "b": replace(confused, name="b", mean=0.5)}).best() == set()
