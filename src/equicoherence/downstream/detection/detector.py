"""torchvision's Mask R-CNN (or Faster R-CNN, for boxes alone) on patch tokens, behind a simple feature pyramid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from equicoherence.downstream.detection.pyramid import SimpleFeaturePyramid

UNIT = 16
"""Boxes of the detector are in units of 1/16 of a patch token, whatever that spans in pixels: torchvision rounds the
strides of feature maps to powers of two, so that a patch of 14 pixels would shift every box."""
LEVELS = ("0", "1", "2", "3")
ANCHORS = (1 / 12, 1 / 6, 1 / 3, 2 / 3)  # sides, of the short side of the image: 67 to 533 of COCO's usual 800
ASPECTS = (0.5, 1.0, 2.0)
CANONICAL = 0.28  # boxes of this share of the short side are read off the third map: 224 of 800, as in FPN
SCORE = 0.01  # lowest that is kept


def build_detector(
    width: int, channels: int, classes: int, frame: tuple[int, int], *, masks: bool, regions: int
) -> FasterRCNN:
    """Return an untrained detector of tokens of ``width`` channels, whose grid has even sides.

    channels: of the pyramid's maps and of the heads, 256 as published. frame: size (H, W) of the image in `UNIT`s.
    regions: trained on in each image, 512 as published. Weights are drawn from torch's global generator.
    """
    short = min(frame)
    anchors = tuple((round(share * short),) for share in ANCHORS)
    pool: dict[str, Any] = {
        "featmap_names": LEVELS,
        "sampling_ratio": 2,
        "canonical_scale": max(1, round(CANONICAL * short)),
    }
    parts: dict[str, Any] = {
        "rpn_anchor_generator": AnchorGenerator(anchors, (ASPECTS,) * len(ANCHORS)),
        "box_roi_pool": MultiScaleRoIAlign(output_size=7, **pool),
        "box_head": TwoMLPHead(channels * 7 * 7, 4 * channels),
        "box_predictor": FastRCNNPredictor(4 * channels, classes + 1),
        "box_batch_size_per_image": regions,
        "box_score_thresh": SCORE,
    }
    pyramid = SimpleFeaturePyramid(width, channels)
    if not masks:
        return FasterRCNN(pyramid, **parts)
    return MaskRCNN(
        pyramid,
        mask_roi_pool=MultiScaleRoIAlign(output_size=14, **pool),
        mask_head=MaskRCNNHeads(channels, [channels] * 4, 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, classes + 1),
        **parts,
    )


def detection_loss(detector: FasterRCNN, maps: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
    """Return the sum of Mask R-CNN's losses on maps (B, C, h, w).

    targets: of each image ``boxes`` (N, 4) in `UNIT`s, ``labels`` (N,) from 1 and, for masks, ``masks`` (N, H, W)
    uint8, H and W in `UNIT`s.
    """
    images, features = _images(maps), detector.backbone(maps)
    proposals, first = detector.rpn(images, features, targets)
    _, second = detector.roi_heads(features, proposals, images.image_sizes, targets)
    return torch.stack([*first.values(), *second.values()]).sum()


@torch.no_grad()
def detect(detector: FasterRCNN, maps: Tensor) -> list[dict[str, Tensor]]:
    """Return up to 100 detections of each image: ``boxes`` (N, 4) in `UNIT`s, ``labels`` from 1, ``scores`` and, where
    it has them, ``masks`` (N, 1, 28, 28) within their boxes."""
    images, features = _images(maps), detector.backbone(maps)
    proposals, _ = detector.rpn(images, features)
    found, _ = detector.roi_heads(features, proposals, images.image_sizes)
    return found


def _images(maps: Tensor) -> ImageList:
    """Return what torchvision wants to know of the images: their sizes, not what they show."""
    size = (maps.shape[2] * UNIT, maps.shape[3] * UNIT)
    return ImageList(maps.new_empty(1).expand(len(maps), 3, *size), [size] * len(maps))
