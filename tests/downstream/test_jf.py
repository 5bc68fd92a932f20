"""J and F are those of DAVIS' toolkit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.morphology import dilation, disk
from torch import Tensor

from equicoherence.downstream.video.jf import (
    contour,
    contour_accuracy,
    dilate,
    region_similarity,
    statistics,
)


def blobs(count: int, height: int = 61, width: int = 83) -> Tensor:
    """Masks of smooth noise, some touching the border, (count, H, W)."""
    noise = torch.randn(count, 1, 7, 9, generator=torch.Generator().manual_seed(count))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")[:, 0] > 0.4


def slow_contour(mask: np.ndarray) -> np.ndarray:
    """A pixel is of the contour where its right, lower or lower right neighbour inside the image differs."""
    found = np.zeros_like(mask)
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            near = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            found[y, x] = any(mask[p] != mask[y, x] for p in near if p[0] < height and p[1] < width)
    return found


def slow_f(predicted: np.ndarray, truth: np.ndarray, tolerance: float) -> float:
    ours, theirs = slow_contour(predicted), slow_contour(truth)
    footprint = disk(math.ceil(tolerance * np.linalg.norm(truth.shape)))
    if not ours.any() or not theirs.any():
        return float(not ours.any() and not theirs.any())
    precision = (ours & dilation(theirs, footprint)).sum() / ours.sum()
    recall = (theirs & dilation(ours, footprint)).sum() / theirs.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize(("radius", "size"), [(0, (61, 83)), (1, (61, 83)), (8, (61, 83)), (9, (12, 7)), (9, (5, 40))])
def test_dilation_is_by_a_disk(radius: int, size: tuple[int, int]) -> None:
    masks = contour(blobs(2, *size))
    for mask, grown in zip(masks, dilate(masks, radius)):
        assert (grown.numpy() == dilation(mask.numpy(), disk(radius))).all()


@pytest.mark.parametrize("tolerance", [0.008, 0.03])
def test_f_is_that_of_the_definition(tolerance: float) -> None:
    predicted, truth = blobs(6), blobs(7)[:6]
    predicted[0], truth[0], predicted[1], truth[2] = False, False, False, False
    truth[3], predicted[3] = predicted[3].clone(), predicted[3].roll(3, 0)
    expected = [slow_f(p.numpy(), t.numpy(), tolerance) for p, t in zip(predicted, truth)]
    found = contour_accuracy(predicted, truth, tolerance)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    assert (found[0], found[1], found[2]) == (1, 0, 0)
    assert 0.2 < found[3] < 1
    assert ((found[4:] > 0.05) & (found[4:] < 1)).all()


def test_j_is_intersection_over_union() -> None:
    predicted, truth = blobs(4), blobs(5)[:4]
    predicted[0], truth[0], predicted[1] = False, False, False
    expected = [1.0, 0.0] + [float((p & t).sum() / (p | t).sum()) for p, t in zip(predicted[2:], truth[2:])]
    assert region_similarity(predicted, truth).tolist() == pytest.approx(expected)


def test_the_truth_itself_scores_1() -> None:
    masks = blobs(5)
    assert region_similarity(masks, masks).tolist() == contour_accuracy(masks, masks).tolist() == [1.0] * 5


def test_recall_counts_frames_above_a_half_and_decay_is_first_less_last_quarter() -> None:
    values = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    mean, recall, decay = statistics(values)
    assert (mean, recall) == (pytest.approx(0.6), pytest.approx(5 / 9))
    assert decay == pytest.approx(values[:3].mean() - values[6:].mean())  # quarters of 9 frames share their borders
    assert statistics(np.array([0.7])) == (pytest.approx(0.7), 1, 0)
    with pytest.raises(ValueError, match="no frame"):
        statistics(np.array([]))
