"""Object detection and instance segmentation: Mask R-CNN on a frozen or fine-tuned encoder, COCO's AP."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from equicoherence.downstream.box_pictures import draw_boxes
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
from equicoherence.evaluation.model import FrozenModel, generators_kept
from equicoherence.evaluation.task import Row, Task, TaskScore, Track, check_trained, spread
from equicoherence.models import Encoder
from equicoherence.sets.kinds import DetectionSet

PICTURES = 6
SHOWN = 0.3  # score of the boxes that pictures show; the best one where none has it
FLOOR_IMAGES = 1000  # that the constant prediction is fitted on


@dataclass(frozen=True)
class Detection(Task):
    """Mask R-CNN, or Faster R-CNN where there are no masks, on ViTDet's simple pyramid of the last patch tokens.

    All images are squashed to one size of their median aspect, where the published detectors keep each image's and pad.
    Defaults suit a CPU and small sets. As published: pixels 1024, channels 256, regions 512, and many more steps,
    which see images at random scales and crops (frozen ones here see each image as it is).
    coco128 shows that all runs, and is no benchmark: its scores say little of an encoder.

    encoder: ``frozen``, tokens are read once; or ``fine-tuned``, see `train_with_encoder`. labels: ``classes``, or
    ``agnostic``, where all are one, for sets that show each class too seldom to learn it. pixels: short side of the
    input. steps, batch: of AdamW. lr, encoder_lr: of the detector and of a fine-tuned encoder, rising over the first
    tenth of the steps, then falling along a cosine. channels, regions: see `build_detector`. train, test: images of
    each split, at most; 0 for all.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    labels: Literal["classes", "agnostic"] = "classes"
    pixels: int = 224
    steps: int = 300
    batch: int = 4
    lr: float = 1e-3
    encoder_lr: float = 1e-4
    channels: int = 64
    regions: int = 64
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "detection"
    caption: ClassVar[str] = (
        f"Predicted boxes are solid, those of scores from {SHOWN} or the best alone; true ones dashed."
    )
    kind: ClassVar[str] = "detection"
    needs: ClassVar[dict[str, tuple[str, ...]]] = {"coco": ("torchmetrics", "faster_coco_eval")}
    metrics: ClassVar[dict[str, bool]] = dict.fromkeys(("apb", "apb50", "apb75", "apm", "apm50", "apm75"), True)

    @property
    def protocol(self) -> str:
        kind = "class-agnostic " if self.labels == "agnostic" else ""
        return f"{self.encoder}, {kind}Mask R-CNN of {self.channels} channels"

    def score(self, model: FrozenModel, train: DetectionSet, test: DetectionSet, track: Track) -> TaskScore:
        if self.labels == "agnostic":
            train, test = AgnosticSet(train), AgnosticSet(test)
        masks = train.has_masks and test.has_masks
        measured, floor = AveragePrecision(masks=masks), AveragePrecision(masks=masks)
        known, asked = spread(len(train), self.train), spread(len(test), self.test)
        constant = _constant(train, known)
        step = stride(model.encoder, model.size)
        size = input_size(some_shapes(train.image, known), self.pixels, 2 * step)  # halved by the pyramid
        encoder = sized(model.encoder, size).eval()
        frame = (size[0] // step * UNIT, size[1] // step * UNIT)
        budget = Budget(self.steps, self.batch, self.lr, self.encoder_lr, self.seed)
        places, chosen = np.unique(draw(len(known), budget), return_inverse=True)
        seen, chosen = [known[place] for place in places], chosen.tolist()
        with generators_kept():
            torch.manual_seed(self.seed)  # torchvision draws weights and regions from the global generator
            detector = build_detector(
                encoder.width, self.channels, len(train.classes), frame, masks=masks, regions=self.regions
            ).to(encoder.mean.device)
            if self.encoder == "frozen":
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
                train_with_encoder(
                    detector, encoder, train, seen, chosen, size, frame, budget, masks=masks, track=track
                )
        check_trained(detector)
        tokens = extract_tokens(encoder, test.image, asked, size, track, "detection: test images")
        _check_grid(tokens, frame, encoder)
        pictures = {}
        for position in track(range(len(asked)), "detection: scores"):
            image, truth = test.image(asked[position]), test.objects(asked[position])
            found = in_pixels(_detect(detector, tokens, position), frame, image.shape[:2])
            measured.add(found, truth)
            floor.add(constant.detected(image.shape[:2], masks=masks), truth)
            if len(pictures) < PICTURES:
                title = test.name(asked[position])
                pictures[title] = _picture(image, found, truth.boxes, test.classes)
        lowest = floor.scores()
        rows = [Row(name, value, floor=lowest[name]) for name, value in measured.scores().items()]
        return TaskScore(rows, pictures, {"train": len(seen), "val": len(asked)}, size)


def _constant(train: DetectionSet, known: list[int]) -> ConstantDetection:
    some = [known[position] for position in spread(len(known), FLOOR_IMAGES)]
    return ConstantDetection.mean([train.objects(i) for i in some], [train.image(i).shape[:2] for i in some])


def _check_grid(tokens: Tokens, frame: Size, encoder: Encoder) -> None:
    """Raise ValueError where the grid of tokens is not that which a frame (H, W) of an image was made for."""
    height, width = tokens.patches.shape[1:3]
    if (UNIT * height, UNIT * width) != frame:
        raise ValueError(
            f"{encoder.name} gives {height} x {width} tokens where its stride says {frame[0] // UNIT} x "
            f"{frame[1] // UNIT}: detection needs an encoder whose tokens lie on a whole stride"
        )


def _detect(detector: FasterRCNN, tokens: Tokens, position: int) -> dict[str, Tensor]:
    device = next(detector.parameters()).device
    maps = as_maps(tokens.take([position], device).patches)
    (found,) = detect(detector, maps)
    return found


def _picture(image: np.ndarray, found: dict[str, Tensor], true: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    sure = max(int((found["scores"] >= SHOWN).sum()), min(1, len(found["scores"])))  # they come in order
    labels = [classes[label] for label in found["labels"][:sure].tolist()]
    captions = [f"{label} {score:.2f}" for label, score in zip(labels, found["scores"][:sure].tolist())]
    return draw_boxes(image, found["boxes"][:sure].numpy(), true, captions)
