"""J and F, by which DAVIS scores the masks of videos: overlap of regions, and agreement of contours.

Perazzi et al. 2016 ("A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation"); details as in
DAVIS' own toolkit for the challenge of 2017.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 0.008
"""How far contours may be apart to agree, in parts of the image's diagonal, rounded up to whole pixels."""


def region_similarity(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return J (...), the intersection over union of masks (..., H, W) bool; 1 where both are empty."""
    both = (predicted & truth).sum(dim=(-2, -1))
    either = (predicted | truth).sum(dim=(-2, -1))
    return torch.where(either == 0, 1.0, both / either.clamp(min=1))


def contour_accuracy(predicted: Tensor, truth: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """Return F (...), the F-measure of the contours of masks (..., H, W) bool.

    Precision is the share of the predicted contour's pixels that are within reach of the true one, recall the other way
    round. A mask without a contour has nothing to be wrong about: precision 1 (recall 1) where only the predicted (the
    true) one lacks it, and F is then 0; 1 where both do.
    """
    height, width = truth.shape[-2:]
    reach = math.ceil(tolerance * math.hypot(height, width))
    ours, theirs = contour(predicted), contour(truth)
    found = (ours & dilate(theirs, reach)).sum(dim=(-2, -1))
    covered = (theirs & dilate(ours, reach)).sum(dim=(-2, -1))
    ours, theirs = ours.sum(dim=(-2, -1)), theirs.sum(dim=(-2, -1))
    precision = torch.where(ours == 0, 1.0, found / ours.clamp(min=1))
    recall = torch.where(theirs == 0, 1.0, covered / theirs.clamp(min=1))
    either = precision + recall
    value = torch.where(either == 0, 0.0, 2 * precision * recall / either.clamp(min=1e-12))
    return torch.where((ours == 0) ^ (theirs == 0), 0.0, value)


def contour(masks: Tensor) -> Tensor:
    """Return the contours (..., H, W) bool of masks: pixels unlike that to the right, below, or right below."""
    edges = torch.zeros_like(masks)
    edges[..., :-1] |= masks[..., :-1] ^ masks[..., 1:]
    edges[..., :-1, :] |= masks[..., :-1, :] ^ masks[..., 1:, :]
    edges[..., :-1, :-1] |= masks[..., :-1, :-1] ^ masks[..., 1:, 1:]
    return edges


def dilate(masks: Tensor, radius: int) -> Tensor:
    """Return the pixels (..., H, W) bool at most ``radius`` from one of the masks'.

    A disk is a pile of rows: the mask, widened step by step, is laid over itself at each row's height.
    """
    grown, row = torch.zeros_like(masks), masks.clone()
    height, width = masks.shape[-2:]
    for half in range(min(radius, width - 1) + 1):
        if half:
            row[..., half:] |= masks[..., :-half]
            row[..., :-half] |= masks[..., half:]
        for rise in range(min(radius, height - 1) + 1):
            widest = math.isqrt(radius**2 - rise**2)
            if min(widest, width - 1) == half:
                grown[..., rise:, :] |= row[..., : height - rise, :]
                grown[..., : height - rise, :] |= row[..., rise:, :]
    return grown


def statistics(values: np.ndarray) -> tuple[float, float, float]:
    """Return mean, recall and decay of scores (T,) of an object in frames, in their order.

    Recall is the share of frames above .5; decay the mean of the first quarter less that of the last.
    Raises ValueError where there are none.
    """
    if not len(values):
        raise ValueError("no frame is scored")
    # the toolkit's quarters, which share their borders; 1e-10 rounds halves up
    borders = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    first, last = values[: borders[1] + 1], values[borders[3] :]
    return float(values.mean()), float((values > 0.5).mean()), float(first.mean() - last.mean())
