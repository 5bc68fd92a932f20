"""Settings of tasks are checked in one place, and what is refused is quoted."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.detection.task import Detection
from equicoherence.downstream.homography.task import HomographyEstimation
from equicoherence.downstream.keypoints.task import KeypointDetection
from equicoherence.downstream.localisation.task import Localisation
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation.fit import check_trained
from equicoherence.evaluation.task import Row, Task
from equicoherence.finite import NotFinite


@pytest.mark.parametrize(
    ("task", "setting", "says"),
    [
        (KeypointDetection, {"encoder": "thawed"}, "encoder must be 'frozen' or 'fine-tuned', got 'thawed'"),
        (VideoPropagation, {"setting": "mae"}, "setting must be 'dino' or 'cropmae', got 'mae'"),
        (VideoPropagation, {"sequences": -1}, "sequences must be at least 0, got -1"),
        (HomographyEstimation, {"pairs": 0}, "pairs must be at least 1, got 0"),
        (HomographyEstimation, {"seed": -3}, "seed must be at least 0, got -3"),
        (Detection, {"steps": 2.5}, "steps must be a whole number, got 2.5"),
        (Detection, {"batch": True}, "batch must be a whole number, got True"),
        (Localisation, {"lr": 0}, "lr must be finite and above 0, got 0"),
        (Depth, {"tuned_lr": float("nan")}, "tuned_lr must be finite and above 0, got nan"),
        (KeypointDetection, {"sigma": "wide"}, "sigma must be a number, got 'wide'"),
        (Segmentation, {"tuned_batch": 1}, "tuned_batch must be at least 2, got 1"),
    ],
)
def test_a_setting_that_cannot_be_is_quoted(task: type[Task], setting: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        task(**setting)


def test_whole_numbers_are_rates_too_and_0_means_all() -> None:
    assert Localisation(lr=1, train=0, test=0, seed=0).train == 0


@pytest.mark.parametrize("field", ["value", "floor", "chance"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_not_finite_is_refused(field: str, number: float) -> None:
    row = Row("miou", 0.5, target="", representation="backbone", floor=0.1, chance=None)
    with pytest.raises(NotFinite, match=f"the {field} of backbone miou is .*, which is no score"):
        dataclasses.replace(row, **{field: number})


def test_a_head_that_diverged_is_refused() -> None:
    head = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1))
    check_trained(head)
    head[1].running_var[0] = float("nan")  # type: ignore[index]
    with pytest.raises(NotFinite, match="not finite: the training diverged; lower its rate"):
        check_trained(head)
