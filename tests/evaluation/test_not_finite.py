"""An encoder whose weights are damaged is refused by every task, and no file ever holds what is no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.detection.task import Detection
from equicoherence.downstream.homography.task import HomographyEstimation
from equicoherence.downstream.keypoints.task import KeypointDetection
from equicoherence.downstream.localisation.task import Localisation
from equicoherence.downstream.looks.task import Looks
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.store import read_scores
from equicoherence.evaluation.task import Task, no_bar
from tests.downstream.bright_squares import OneSquare, SquareBoxes
from tests.downstream.colour_regions import ColourRegions, small_model
from tests.downstream.test_depth import Slopes
from tests.downstream.test_homography import Blobs
from tests.downstream.test_keypoints import Dots
from tests.downstream.test_video import Squares
from tests.evaluation.rows import QUICK

REFUSED = r"not finite"


@pytest.fixture
def damaged(copied: Callable[[], Path]) -> Path:
    """Return a run with a weight that is no number."""
    run = copied()
    weights = load_file(run / "model.safetensors")
    name = next(name for name, value in weights.items() if value.ndim == 4)  # a convolution of the encoder
    weights[name].view(-1)[0] = torch.nan
    save_file(weights, run / "model.safetensors")
    return run


@pytest.mark.parametrize("task", ["transformation", "knn", "linear"])
def test_tasks_on_images_refuse_it(damaged: Path, task: str) -> None:
    settings = {task: QUICK[task]} if task in QUICK else None
    with pytest.raises((ValueError, RuntimeError), match=REFUSED):
        evaluate(damaged, tasks=[task], settings=settings, controls=False)
    assert read_scores(damaged / "scores.json") == {}


@pytest.mark.parametrize("task", ["pose", "retrieval"])
def test_tasks_on_poses_refuse_it(damaged: Path, renders: Path, task: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=REFUSED):
        evaluate(damaged, tasks=[task], data=renders, controls=False, track=no_bar)
    assert read_scores(damaged / "scores.json") == {}


SMALL = {"pixels": 32, "steps": 2, "batch": 2}
DENSE = [
    (Segmentation(**SMALL), ColourRegions(4, 0), ColourRegions(2, 1)),
    (Segmentation("fine-tuned", 32, tuned_steps=1, tuned_batch=2), ColourRegions(4, 0), ColourRegions(2, 1)),
    (Depth(**SMALL), Slopes(4, 0), Slopes(2, 1)),
    (Depth("fine-tuned", **SMALL, epochs=1, tuned_batch=2), Slopes(4, 0), Slopes(2, 1)),
    (Detection(**SMALL, channels=16, regions=16), SquareBoxes(4, 0), SquareBoxes(2, 1)),
    (Localisation(**SMALL), OneSquare(4, 0), OneSquare(2, 1)),
    (KeypointDetection(**SMALL, hidden=8), Dots(4, 0), Dots(2, 1)),
    (KeypointDetection("fine-tuned", **SMALL, hidden=8), Dots(4, 0), Dots(2, 1)),
    (HomographyEstimation(**SMALL, pairs=4, test_pairs=4), Blobs(4, 0), Blobs(2, 1)),
    (HomographyEstimation("fine-tuned", **SMALL, pairs=4, test_pairs=4), Blobs(4, 0), Blobs(2, 1)),
    (VideoPropagation(pixels=32), None, Squares()),
    (Looks(pixels=32, shown=2, queries=1, neighbours=2, among=4), None, Blobs(4, 0)),
]


@pytest.mark.parametrize(("task", "train", "test"), DENSE, ids=[f"{task.name}, {task.protocol}" for task, *_ in DENSE])
def test_tasks_on_patch_tokens_refuse_it(task: Task, train: Any, test: Any) -> None:
    model = small_model()
    with torch.no_grad():
        model.encoder.model.get_parameter("blocks.0.mlp.fc1.weight")[0, 0] = torch.nan
    with pytest.raises((ValueError, RuntimeError), match=REFUSED):
        task.score(model, train, test, no_bar)


def test_every_task_is_among_these() -> None:
    """A new task is to be added to this file."""
    assert {"transformation", "knn", "linear", "pose", "retrieval", *(task.name for task, *_ in DENSE)} == set(
        all_tasks()
    )


def test_the_command_says_so_fails_and_leaves_the_scores_there_were(
    damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from equicoherence.cli import main

    assert main(["evaluate", str(damaged), "--tasks", "knn", "--no-controls"]) == 2
    said = capsys.readouterr().err
    assert "not finite" in said
    assert "Traceback" not in said
    assert not (damaged / "scores.json").exists()
