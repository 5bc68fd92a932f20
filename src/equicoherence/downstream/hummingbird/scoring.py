"""Hummingbird: segmentation by the nearest neighbours of patch tokens in a memory of labelled ones; mIoU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.hummingbird.memory import remember
from equicoherence.downstream.segmentation.joint_crop import joint_crop
from equicoherence.downstream.segmentation.scoring import segment, segmentation_rows
from equicoherence.downstream.tokens import check_finite, input_size, resize_image, sized, some_shapes, stride
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import TaskScore, Track, spread
from equicoherence.sets.files import resized_labels
from equicoherence.sets.kinds import SegmentationSet

if TYPE_CHECKING:
    from equicoherence.downstream.hummingbird.task import Hummingbird


def score_hummingbird(
    task: Hummingbird, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track
) -> TaskScore:
    device = model.encoder.mean.device
    train_indices, test_indices = spread(len(train), task.train), spread(len(test), task.test)
    most = task.memory // (len(train_indices) * task.passes)
    if not most:
        raise RefusedValue(
            f"hummingbird.memory is {task.memory}, which is less than a patch of each of {len(train_indices)} training "
            f"images in each of {task.passes} passes: give at least {len(train_indices) * task.passes}"
        )
    size = input_size(some_shapes(train.image, train_indices), task.pixels, stride(model.encoder, model.size))
    encoder = sized(model.encoder, size).eval()
    generator = torch.Generator().manual_seed(task.seed)
    draws = torch.rand(len(train_indices) * (task.passes - 1), 5, generator=generator).tolist()

    def load(number: int) -> tuple[np.ndarray, np.ndarray]:
        crop, place = divmod(number, len(train_indices))
        image, mask = train.image(train_indices[place]), train.mask(train_indices[place])
        if crop:
            return joint_crop(image, mask, size, draws[number - len(train_indices)])
        return resize_image(image, size), resized_labels(mask, size)

    memory = remember(
        encoder, load, range(len(train_indices) * task.passes), len(train.classes), most, generator, track
    )
    if not len(memory.tokens):
        raise UnusableData("no pixel of the training images has a class, so there is nothing to remember")

    def predict(images: Tensor) -> Tensor:
        with reading(device):
            features = encoder(images)
        check_finite(features.patches.isfinite().all(), encoder)
        shares = memory.recall(features.patches.flatten(0, 1), task.neighbours, task.temperature)
        return shares.unflatten(0, (len(images), *features.grid)).permute(0, 3, 1, 2)

    counts, pictures = segment(predict, test, test_indices, size, device, track, task.name)
    rows = segmentation_rows(counts, int(memory.pixels.argmax()), test.classes)
    return TaskScore(rows, pictures, {"train": len(train_indices), "val": len(test_indices)}, size)
