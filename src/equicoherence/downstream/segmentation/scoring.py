"""Semantic segmentation: a linear classifier of patch tokens (DINOv2's light protocol), or UPerNet; mIoU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.data.source import UnusableData
from equicoherence.downstream.class_pictures import draw_classes
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
from equicoherence.evaluation.fit import fit, reading
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.finite import NotFinite
from equicoherence.models import Encoder
from equicoherence.sets.files import resized_labels
from equicoherence.sets.kinds import IGNORE, SegmentationSet

if TYPE_CHECKING:
    from equicoherence.downstream.segmentation.task import Segmentation

Predict = Callable[[Tensor], Tensor]
"""Gives logits (B, classes, h, w) of images (B, 3, H, W) in [0, 1]."""
PICTURES = 6
LARGEST_LOGITS = 2**27  # numbers at once when logits are enlarged to the masks' sizes
COARSER = 4  # pixels of the input for one of the labels that a linear head is trained on


def score_segmentation(
    task: Segmentation, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track
) -> TaskScore:
    device = model.encoder.mean.device
    train_indices, test_indices = spread(len(train), task.train), spread(len(test), task.test)
    size = input_size(some_shapes(train.image, train_indices), task.pixels, stride(model.encoder, model.size))
    coarse = (-(-size[0] // COARSER), -(-size[1] // COARSER))
    labels = torch.from_numpy(
        np.stack(list(read_ahead(lambda i: resized_labels(train.mask(i), coarse), train_indices)))
    )
    counted = labels[labels != IGNORE]
    if not len(counted):
        raise UnusableData("no pixel of the training images has a class, so there is nothing to learn")
    common = int(counted.bincount().argmax())
    if task.encoder == "frozen":
        encoder, seen = sized(model.encoder, size).eval(), len(train_indices)
        tokens = extract_tokens(encoder, train.image, train_indices, size, track, "segmentation: training images")
        head = _train(task, tokens, labels, len(train.classes), device, track)
        predict = _of_tokens(encoder, head)
    else:
        encoder = resizable(model.encoder).eval()
        predict, seen = tune(
            encoder, model.size, train, train_indices, size, channels=task.channels, steps=task.tuned_steps,
            batch=task.tuned_batch, lr=task.tuned_lr, seed=task.seed, track=track,
        )  # fmt: skip
    counts, pictures = segment(predict, test, test_indices, size, device, track)
    rows = segmentation_rows(counts, common, test.classes)
    return TaskScore(rows, pictures, {"train": seen, "val": len(test_indices)}, size)


def _train(
    task: Segmentation, tokens: Tokens, labels: Tensor, classes: int, device: torch.device, track: Track
) -> nn.Module:
    width = tokens.patches.shape[-1]
    generator = torch.Generator().manual_seed(task.seed)
    head = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, classes, 1))
    nn.init.normal_(head[1].weight, std=0.01, generator=generator)  # type: ignore[arg-type]
    nn.init.zeros_(head[1].bias)  # type: ignore[arg-type]
    head.to(device)

    def loss(step: int) -> Tensor:
        chosen = torch.randint(len(tokens), (min(task.batch, len(tokens)),), generator=generator)
        return pixel_loss(head(as_maps(tokens.take(chosen, device).patches)), labels[chosen].to(device))

    groups = [{"params": head.parameters(), "lr": task.lr}]
    fit(loss, groups, task.steps, head=head, what="segmentation: head", track=track)
    return head.eval()


def _of_tokens(encoder: Encoder, head: nn.Module) -> Predict:
    def predict(images: Tensor) -> Tensor:
        with reading(images.device):
            features = encoder(images)
        return head(as_maps(features.patches.unflatten(1, features.grid).half()))

    return predict


@torch.no_grad()
def segment(
    predict: Predict,
    test: SegmentationSet,
    test_indices: Sequence[int],
    size: tuple[int, int],
    device: torch.device,
    track: Track,
    what: str = "segmentation",
) -> tuple[Tensor, dict[str, Picture]]:
    """Return the confusion matrix of predictions on images, and pictures of some.

    Images are squashed to ``size`` (h, w); logits are enlarged bilinearly to each mask's own size. what: the
    task, as a bar calls it.
    """
    classes = len(test.classes)
    counts = torch.zeros(classes, classes, dtype=torch.long)
    shown = {test_indices[place] for place in spread(len(test_indices), PICTURES)}
    pictures: dict[str, Picture] = {}
    samples = read_ahead(lambda index: _sample(test, index, size, index in shown), test_indices)
    chunks = [test_indices[start : start + BATCH] for start in range(0, len(test_indices), BATCH)]
    for chunk in track(chunks, f"{what}: test images"):
        resized, masks, wholes = zip(*(next(samples) for _ in chunk))
        pixels = to_pixels(resized, device)
        logits = predict(pixels)
        if not logits.isfinite().all():
            raise NotFinite("logits of test images are not finite: the training diverged; lower its rate")
        for places in _groups([mask.shape for mask in masks], classes):
            truth = torch.from_numpy(np.stack([masks[place] for place in places])).to(device)
            enlarged = F.interpolate(logits[places], truth.shape[1:], mode="bilinear")
            predicted = enlarged.argmax(dim=1)
            counts += confusion(predicted, truth, classes).cpu()
            for place, answer in zip(places, predicted):
                if wholes[place] is not None:
                    said = answer.cpu().numpy().astype(np.uint8)
                    pictures[test.name(chunk[place])] = draw_classes(wholes[place], masks[place], said, test.classes)
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


def segmentation_rows(counts: Tensor, common: int, classes: Sequence[str]) -> list[Row]:
    """Return mIoU and accuracy, with those of ``common`` everywhere beside them, and the IoU of each class there is."""
    total = counts.sum()
    if not total:
        raise UnusableData("no pixel of the test images has a class, so there is nothing to measure")
    iou, floor = intersection_over_union(counts), intersection_over_union(constant(counts, common))
    right, lucky = counts.diagonal().sum() / total, counts[common].sum() / total
    rows = [
        Row("miou", float(iou.nanmean()), floor=float(floor.nanmean())),
        Row("accuracy", float(right), floor=float(lucky)),
    ]
    return rows + [Row("iou", value, parameter=name) for name, value in zip(classes, iou.tolist()) if value == value]
