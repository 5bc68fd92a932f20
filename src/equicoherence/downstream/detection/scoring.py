"""Object detection and instance segmentation: Mask R-CNN on a frozen or fine-tuned encoder, COCO's AP."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from equicoherence.data.source import UnusableData
from equicoherence.downstream.box_pictures import show_boxes
from equicoherence.downstream.detection.agnostic import AgnosticSet
from equicoherence.downstream.detection.average_precision import AveragePrecision
from equicoherence.downstream.detection.detector import UNIT, build_detector, detect
from equicoherence.downstream.detection.targets import ConstantDetection, Size, in_pixels
from equicoherence.downstream.detection.training import Budget, draw, train_on_tokens, train_with_encoder
from equicoherence.downstream.tokens import (
    Tokens,
    as_maps,
    extract_tokens,
    input_size,
    sized,
    some_shapes,
    stride,
)
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.models import Encoder
from equicoherence.sets.kinds import DetectionSet, Objects

if TYPE_CHECKING:
    from equicoherence.downstream.detection.task import Detection

PICTURES = 6
SHOWN = 0.3  # score of the boxes that pictures show; the best one where none has it
FLOOR_IMAGES = 1000  # that the constant prediction is fitted on


def score_detection(
    task: Detection, model: FrozenModel, train: DetectionSet, test: DetectionSet, track: Track
) -> TaskScore:
    if task.labels == "agnostic":
        train, test = AgnosticSet(train), AgnosticSet(test)
    masks = train.has_masks and test.has_masks
    measured, floor = AveragePrecision(masks=masks), AveragePrecision(masks=masks)
    train_indices, test_indices = spread(len(train), task.train), spread(len(test), task.test)
    constant = _constant(train, train_indices)
    step = stride(model.encoder, model.size)
    size = input_size(some_shapes(train.image, train_indices), task.pixels, 2 * step)  # halved by the pyramid
    encoder = sized(model.encoder, size).eval()
    frame = (size[0] // step * UNIT, size[1] // step * UNIT)
    budget = Budget(task.steps, task.batch, task.lr, task.encoder_lr, task.seed)
    places, chosen = np.unique(draw(len(train_indices), budget), return_inverse=True)
    seen, chosen = [train_indices[place] for place in places], chosen.tolist()
    with generators_kept():
        torch.manual_seed(task.seed)  # torchvision draws weights and regions from the global generator
        detector = build_detector(
            encoder.width, task.channels, len(train.classes), frame, masks=masks, regions=task.regions
        ).to(encoder.mean.device)
        if task.encoder == "frozen":
            shapes: dict[int, Size] = {}

            def load(index: int) -> np.ndarray:
                image = train.image(index)
                shapes[index] = image.shape[:2]
                return image

            tokens = extract_tokens(encoder, load, seen, size, track, "detection: training images")
            _check_grid(tokens, frame, encoder)
            train_on_tokens(detector, tokens, train, seen, chosen, shapes, frame, budget, masks=masks, track=track)
        else:
            encoder = copy.deepcopy(encoder)
            train_with_encoder(detector, encoder, train, seen, chosen, size, frame, budget, masks=masks, track=track)
    tokens = extract_tokens(encoder, test.image, test_indices, size, track, "detection: test images")
    _check_grid(tokens, frame, encoder)
    pictures: dict[str, Picture] = {}
    for position in track(range(len(test_indices)), "detection: scores"):
        image, truth = test.image(test_indices[position]), test.objects(test_indices[position])
        found = in_pixels(_detect(detector, tokens, position), frame, image.shape[:2])
        measured.add(found, truth)
        floor.add(constant.detected(image.shape[:2], masks=masks), truth)
        if len(pictures) < PICTURES:
            title = test.name(test_indices[position])
            pictures[title] = _picture(image, found, truth, test.classes)
    lowest, scores = floor.scores(), measured.scores()
    if any(math.isnan(value) for value in scores.values()):
        raise UnusableData("no test image has an object, so there is nothing to measure")
    rows = [Row(name, value, floor=lowest[name]) for name, value in scores.items()]
    return TaskScore(rows, pictures, {"train": len(seen), "val": len(test_indices)}, size)


def _constant(train: DetectionSet, train_indices: list[int]) -> ConstantDetection:
    some = [train_indices[position] for position in spread(len(train_indices), FLOOR_IMAGES)]
    return ConstantDetection.mean([train.objects(i) for i in some], [train.image(i).shape[:2] for i in some])


def _check_grid(tokens: Tokens, frame: Size, encoder: Encoder) -> None:
    """Raise ValueError where the grid of tokens is not that which a frame (H, W) of an image was made for."""
    height, width = tokens.patches.shape[1:3]
    if (UNIT * height, UNIT * width) != frame:
        raise RefusedValue(
            f"{encoder.name} gives {height} x {width} tokens where its stride says {frame[0] // UNIT} x "
            f"{frame[1] // UNIT}: detection needs an encoder whose tokens lie on a whole stride"
        )


def _detect(detector: FasterRCNN, tokens: Tokens, position: int) -> dict[str, Tensor]:
    device = next(detector.parameters()).device
    maps = as_maps(tokens.take([position], device).patches)
    (found,) = detect(detector, maps)
    return found


def _picture(image: np.ndarray, found: dict[str, Tensor], truth: Objects, classes: tuple[str, ...]) -> Picture:
    sure = max(int((found["scores"] >= SHOWN).sum()), min(1, len(found["scores"])))  # they come in order
    labels = [classes[label] for label in found["labels"][:sure].tolist()]
    captions = [f"{label} {score:.2f}" for label, score in zip(labels, found["scores"][:sure].tolist())]
    true = [classes[label] for label in truth.labels.tolist()]
    return show_boxes(image, found["boxes"][:sure].numpy(), truth.boxes, captions, true)
