"""Targets of a detector, its detections in pixels, and a constant prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from equicoherence.data.source import UnusableData
from equicoherence.sets.kinds import Objects

Size = tuple[int, int]


def detection_target(objects: Objects, shape: Size, frame: Size, *, masks: bool) -> dict[str, Tensor]:
    """Return what `detector.detection_loss` takes of an image (H, W), squashed to a frame (h, w).

    Crowd regions are left out, boxes cut at the image's border, and those narrower or lower than 1 left out. Labels
    are from 1.
    """
    boxes = torch.from_numpy(objects.boxes) * _scale(shape, frame)
    limit = torch.tensor([frame[1], frame[0]] * 2, dtype=boxes.dtype)
    boxes = boxes.clamp(min=torch.zeros(4), max=limit)
    kept = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1) & ~torch.from_numpy(objects.crowd)
    target = {"boxes": boxes[kept], "labels": torch.from_numpy(objects.labels)[kept] + 1}
    if masks and objects.masks is not None:
        own = torch.from_numpy(objects.masks)[kept].to(torch.uint8)
        target["masks"] = (
            F.interpolate(own[:, None], frame, mode="nearest-exact")[:, 0] if len(own) else own.new_empty((0, *frame))
        )
    return target


def mirrored(target: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """Return the target of the image as a mirror shows it."""
    left, top, right, bottom = target["boxes"].unbind(dim=1)
    other = target | {"boxes": torch.stack([width - right, top, width - left, bottom], dim=1)}
    return other | ({"masks": target["masks"].flip(-1)} if "masks" in target else {})


def in_pixels(found: dict[str, Tensor], frame: Size, shape: Size) -> dict[str, Tensor]:
    """Return detections in a frame (h, w) as those in the image (H, W): labels from 0, masks (N, H, W) bool."""
    boxes = found["boxes"].float().cpu() * _scale(frame, shape)
    detected = {"boxes": boxes, "scores": found["scores"].float().cpu(), "labels": found["labels"].cpu() - 1}
    if "masks" in found:
        detected["masks"] = paste_masks_in_image(found["masks"].float().cpu(), boxes, shape)[:, 0] >= 0.5
    return detected


@dataclass(frozen=True)
class ConstantDetection:
    """The same single box in each image. box: (4,) in shares of width and height. label: from 0."""

    box: Tensor
    label: int

    @classmethod
    def mean(cls, objects: Sequence[Objects], shapes: Sequence[Size]) -> ConstantDetection:
        """Return the most common class, and the mean of its boxes, in images of the sizes (H, W) ``shapes``.

        Raises `UnusableData` where there are no objects.
        """
        labels = np.concatenate([each.labels[~each.crowd] for each in objects])
        if not len(labels):
            raise UnusableData("the training images hold no objects, so there is nothing to learn")
        common = int(np.bincount(labels).argmax())
        boxes = [
            each.boxes[(each.labels == common) & ~each.crowd] / np.array([width, height] * 2, dtype=np.float32)
            for each, (height, width) in zip(objects, shapes)
        ]
        return cls(torch.from_numpy(np.concatenate(boxes).mean(axis=0)), common)

    def detected(self, shape: Size, *, masks: bool) -> dict[str, Tensor]:
        """Return it as `in_pixels` does; its mask fills its box."""
        box = self.box * _scale((1, 1), shape)
        detected = {"boxes": box[None], "scores": torch.ones(1), "labels": torch.tensor([self.label])}
        if masks:
            left, top, right, bottom = box.round().int().tolist()
            detected["masks"] = torch.zeros(1, *shape, dtype=torch.bool)
            detected["masks"][:, top:bottom, left:right] = True
        return detected


def _scale(before: Size, after: Size) -> Tensor:
    """Return by what the four sides of boxes are multiplied when a size (h, w) becomes another."""
    return torch.tensor([after[1] / before[1], after[0] / before[0]] * 2)
