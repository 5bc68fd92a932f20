"""An encoder whose weights are damaged is refused by every task, and no file ever holds what is no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from equicoherence.cli import main
from equicoherence.downstream.correspondence.task import Correspondence, HomographyCorrespondence
from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.detection.task import Detection
from equicoherence.downstream.homography.task import HomographyEstimation
from equicoherence.downstream.hummingbird.task import Hummingbird
from equicoherence.downstream.keypoints.task import KeypointDetection
from equicoherence.downstream.localisation.task import Localisation
from equicoherence.downstream.looks.task import Looks
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.downstream.spair.task import SemanticCorrespondence
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.task import Task, no_bar
from equicoherence.finite import NotFinite
from tests.downstream.bright_squares import OneSquare, SquareBoxes
from tests.downstream.colour_regions import ColourRegions, small_model
from tests.downstream.painted_spheres import MarkedNoise, PaintedSpheres
from tests.downstream.test_depth import Slopes
from tests.downstream.test_homography import Blobs
from tests.downstream.test_keypoints import Dots
from tests.downstream.test_video import Squares
from tests.evaluation.rows import QUICK
from tests.sets.test_turned import write_turned

REFUSED = r"not finite"


@pytest.fixture
def damaged(run: Path) -> FrozenModel:
    """Return a run's encoder with a weight that is no number."""
    model = load_model(run)
    with torch.no_grad():
        next(model.encoder.model.parameters())[0] = torch.nan
    return model


ON_IMAGES = ["transformation", "knn", "linear", "layers", "rotation-curve", "scale-curve", "shift-curve", "rot4"]


@pytest.mark.parametrize("task", ON_IMAGES)
def test_tasks_on_images_refuse_it(damaged: FrozenModel, folder: Path, tmp_path: Path, task: str) -> None:
    settings = {task: QUICK[task]} if task in QUICK else None
    with pytest.raises(NotFinite, match=REFUSED):
        evaluate(damaged, tasks=[task], data=folder, settings=settings, controls=False, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", ["pose", "retrieval"])
def test_tasks_on_poses_refuse_it(damaged: FrozenModel, renders: Path, tmp_path: Path, task: str) -> None:
    with pytest.raises(NotFinite, match=REFUSED):
        evaluate(damaged, tasks=[task], data=renders, controls=False, track=no_bar, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_turned_photographs_refuse_it(damaged: FrozenModel, tmp_path: Path) -> None:
    with pytest.raises(NotFinite, match=REFUSED):
        evaluate(damaged, tasks=["turned"], sets=write_turned(tmp_path, 3), controls=False, track=no_bar)


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
    (Hummingbird(pixels=32), ColourRegions(4, 0), ColourRegions(2, 1)),
    (Correspondence(tokens=4), None, PaintedSpheres(np.eye(3))),
    (HomographyCorrespondence(tokens=4, pairs=4), Blobs(4, 0), Blobs(2, 1)),
    (SemanticCorrespondence(pixels=32), None, MarkedNoise(2)),
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
    assert {*ON_IMAGES, "pose", "retrieval", "turned", *(task.name for task, *_ in DENSE)} == set(all_tasks())


def test_the_command_refuses_a_file_that_holds_such_a_weight(
    copied: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied()
    weights = load_file(run / "model.safetensors")
    next(value for value in weights.values() if value.is_floating_point()).view(-1)[0] = torch.nan
    save_file(weights, run / "model.safetensors")
    assert main(["evaluate", str(run), "--tasks", "knn", "--no-controls"]) == 2
    said = capsys.readouterr().err
    assert "model.safetensors is damaged" in said
    assert "not finite" in said
    assert "Traceback" not in said
    assert not (run / "scores.json").exists()


def test_the_command_fails_in_one_sentence_where_features_overflow(
    copied: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights may be finite, and what they make of an image not."""
    run = copied()
    weights = load_file(run / "model.safetensors")
    save_file({name: 1e30 * v if v.ndim == 4 else v for name, v in weights.items()}, run / "model.safetensors")
    assert main(["evaluate", str(run), "--tasks", "knn", "--no-controls"]) == 1
    said = capsys.readouterr().err
    assert "failed: the features 'backbone' of" in said
    assert "Traceback" not in said
    assert not (run / "scores.json").exists()
