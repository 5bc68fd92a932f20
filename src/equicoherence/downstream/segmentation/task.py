"""Semantic segmentation: a linear classifier of patch tokens (DINOv2's light protocol), or UPerNet; mIoU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.data.source import UnusableData
from equicoherence.downstream.palette import painted, side_by_side
from equicoherence.downstream.segmentation.pixel_classes import (
    confusion,
    constant,
    intersection_over_union,
    pixel_loss,
)
from equicoherence.downstream.segmentation.upernet import tune
from equicoherence.downstream.tokens import (
    BATCH,
    Tokens,
    as_maps,
    extract_tokens,
    input_size,
    read_ahead,
    resizable,
    resize_image,
    sized,
    some_shapes,
    stride,
    to_pixels,
)
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.task import Row, Task, TaskScore, Track, spread
from equicoherence.models import Encoder
from equicoherence.sets.files import resized_labels
from equicoherence.sets.kinds import IGNORE, SegmentationSet

Predict = Callable[[Tensor], Tensor]
"""Gives logits (B, classes, h, w) of images (B, 3, H, W) in [0, 1]."""
PICTURES = 6
LARGEST_LOGITS = 2**27  # numbers at once when logits are enlarged to the masks' sizes
COARSER = 4  # pixels of the input for one of the labels that a linear head is trained on


@dataclass(frozen=True)
class Segmentation(Task):
    """Classes of pixels, told by a linear head of a frozen encoder or by a UPerNet whose encoder is trained with it.

    encoder: ``frozen``, BatchNorm and a 1x1 convolution on its patch tokens; ``fine-tuned``, see `upernet.tune`.
    pixels: short side of the input; all images are squashed to the median aspect. steps, batch, lr: of AdamW on the
    linear head, the rate falling along a cosine; its loss is taken at a quarter of the input's resolution, where the
    mIoU is the same within its noise and a step costs a tenth. tuned_steps, tuned_batch (at least 2), tuned_lr,
    channels: of a UPerNet. Scores are taken at the masks' own resolution. train, test: images of each split, at most;
    0 for all.

    Published protocols do more. DINOv2's linear head: 40,000 steps at 512 pixels on images cropped, mirrored and
    changed in color, tests by a sliding window; here 2,000 steps at 224 pixels, on tokens that are taken once of whole,
    squashed images, in training as in tests. UPerNet: 160,000 steps at 512 pixels, changed colors and an auxiliary
    head; here few steps, crops and mirrored images alone.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 224
    steps: int = 2000
    batch: int = 16
    lr: float = 1e-3
    tuned_steps: int = 200
    tuned_batch: int = 8
    tuned_lr: float = 1e-4
    channels: int = 64
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "segmentation"
    caption: ClassVar[str] = "Image, true classes, predicted classes; a class has one color in all pictures."
    kind: ClassVar[str] = "segmentation"
    metrics: ClassVar[dict[str, bool]] = {"miou": True, "accuracy": True, "iou": True}
    least: ClassVar[dict[str, int]] = {"tuned_batch": 2}

    @property
    def protocol(self) -> str:
        return "frozen, linear" if self.encoder == "frozen" else f"fine-tuned, UPerNet of {self.channels} channels"

    def score(self, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track) -> TaskScore:
        device = model.encoder.mean.device
        known, asked = spread(len(train), self.train), spread(len(test), self.test)
        size = input_size(some_shapes(train.image, known), self.pixels, stride(model.encoder, model.size))
        coarse = (-(-size[0] // COARSER), -(-size[1] // COARSER))
        labels = torch.from_numpy(np.stack(list(read_ahead(lambda i: resized_labels(train.mask(i), coarse), known))))
        counted = labels[labels != IGNORE]
        if not len(counted):
            raise UnusableData("no pixel of the training images has a class, so there is nothing to learn")
        common = int(counted.bincount().argmax())
        if self.encoder == "frozen":
            encoder, seen = sized(model.encoder, size).eval(), len(known)
            tokens = extract_tokens(encoder, train.image, known, size, track, "segmentation: training images")
            head = self._train(tokens, labels, len(train.classes), device, track)
            predict = _of_tokens(encoder, head)
        else:
            encoder = resizable(model.encoder).eval()
            predict, seen = tune(
                encoder, model.size, train, known, size, channels=self.channels, steps=self.tuned_steps,
                batch=self.tuned_batch, lr=self.tuned_lr, seed=self.seed, track=track,
            )  # fmt: skip
        counts, pictures = segment(predict, test, asked, size, device, track)
        rows = _rows(counts, common, test.classes)
        return TaskScore(rows, pictures, {"train": seen, "val": len(asked)}, size)

    def _train(self, tokens: Tokens, labels: Tensor, classes: int, device: torch.device, track: Track) -> nn.Module:
        width = tokens.patches.shape[-1]
        generator = torch.Generator().manual_seed(self.seed)
        head = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, classes, 1))
        nn.init.normal_(head[1].weight, std=0.01, generator=generator)  # type: ignore[arg-type]
        nn.init.zeros_(head[1].bias)  # type: ignore[arg-type]
        head.to(device)
        optimizer = torch.optim.AdamW(head.parameters(), self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in track(range(self.steps), "segmentation: head"):
            chosen = torch.randint(len(tokens), (min(self.batch, len(tokens)),), generator=generator)
            logits = head(as_maps(tokens.take(chosen, device).patches))
            pixel_loss(logits, labels[chosen].to(device)).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        return head.eval()


def _of_tokens(encoder: Encoder, head: nn.Module) -> Predict:
    def predict(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            features = encoder(images)
        return head(as_maps(features.patches.unflatten(1, features.grid).half()))

    return predict


@torch.no_grad()
def segment(
    predict: Predict,
    test: SegmentationSet,
    asked: Sequence[int],
    size: tuple[int, int],
    device: torch.device,
    track: Track,
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """Return the confusion matrix of predictions on images, and pictures of input, truth and prediction of some.

    Images are squashed to ``size`` (h, w); logits are enlarged bilinearly to each mask's own size.
    """
    classes = len(test.classes)
    counts = torch.zeros(classes, classes, dtype=torch.long)
    shown = {asked[place] for place in spread(len(asked), PICTURES)}
    pictures: dict[str, np.ndarray] = {}
    samples = read_ahead(lambda index: _sample(test, index, size, index in shown), asked)
    chunks = [asked[start : start + BATCH] for start in range(0, len(asked), BATCH)]
    for chunk in track(chunks, "segmentation: test images"):
        resized, masks, wholes = zip(*(next(samples) for _ in chunk))
        pixels = to_pixels(resized, device)
        logits = predict(pixels)
        if not logits.isfinite().all():
            raise ValueError("logits of test images are not finite: the training diverged; lower its rate")
        for places in _groups([mask.shape for mask in masks], classes):
            truth = torch.from_numpy(np.stack([masks[place] for place in places])).to(device)
            enlarged = F.interpolate(logits[places], truth.shape[1:], mode="bilinear")
            predicted = enlarged.argmax(dim=1)
            counts += confusion(predicted, truth, classes).cpu()
            for place, answer in zip(places, predicted):
                if wholes[place] is not None:
                    said = answer.cpu().numpy().astype(np.uint8)
                    panels = [wholes[place], painted(masks[place]), painted(said)]
                    pictures[test.name(chunk[place])] = side_by_side(panels)
    return counts, pictures


def _sample(
    test: SegmentationSet, index: int, size: tuple[int, int], whole: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return an image squashed to ``size``, its mask, and where it is wanted the image at the mask's size."""
    image, mask = test.image(index), test.mask(index)
    return resize_image(image, size), mask, resize_image(image, (mask.shape[0], mask.shape[1])) if whole else None


def _groups(shapes: Sequence[tuple[int, ...]], classes: int) -> list[list[int]]:
    """Return the places of equal shapes together, as many as can be enlarged at once."""
    equal: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, shape in enumerate(shapes):
        equal[shape].append(place)
    groups = []
    for shape, places in equal.items():
        most = max(1, LARGEST_LOGITS // (classes * int(np.prod(shape))))
        groups += [places[start : start + most] for start in range(0, len(places), most)]
    return groups


def _rows(counts: Tensor, common: int, classes: Sequence[str]) -> list[Row]:
    """Return mIoU and accuracy, with those of ``common`` everywhere beside them, and the IoU of each class there is."""
    iou, floor = intersection_over_union(counts), intersection_over_union(constant(counts, common))
    total = counts.sum()
    right, lucky = counts.diagonal().sum() / total, counts[common].sum() / total
    rows = [
        Row("miou", float(iou.nanmean()), floor=float(floor.nanmean())),
        Row("accuracy", float(right), floor=float(lucky)),
    ]
    return rows + [Row("iou", value, name) for name, value in zip(classes, iou.tolist()) if value == value]
