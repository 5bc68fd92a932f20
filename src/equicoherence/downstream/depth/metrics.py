"""Errors of a depth map as Eigen, Puhrsch and Fergus (NeurIPS 2014) and others count them, and their crops."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from equicoherence.devices import float64

Crop = Literal["", "eigen", "garg"]


def depth_errors(predicted: Tensor, truth: Tensor, scored: Tensor) -> Tensor:
    """Return the errors (9,) float64 of one image's depths (H, W), above 0, over the pixels ``scored`` (H, W) bool.

    With p predicted, t true, e = ln p - ln t and means over pixels: rmse = sqrt(mean (p - t)^2), in the unit of depth;
    abs_rel = mean |p - t| / t; sq_rel = mean (p - t)^2 / t; log10 = mean |log10 p - log10 t|; rmse_log =
    sqrt(mean e^2); silog = 100 sqrt(mean e^2 - (mean e)^2), as KITTI has it; delta_k = share of pixels with
    max(p / t, t / p) < 1.25^k. All nan where no pixel is scored.
    """
    p, t = float64(predicted[scored]), float64(truth[scored])
    off, logs, ratio = p - t, p.log() - t.log(), torch.maximum(p / t, t / p)
    return torch.stack(
        [
            off.square().mean().sqrt(),
            (off.abs() / t).mean(),
            (off.square() / t).mean(),
            (p.log10() - t.log10()).abs().mean(),
            logs.square().mean().sqrt(),
            100 * logs.var(correction=0).sqrt() if len(logs) else logs.mean(),
            *((ratio < 1.25**power).double().mean() for power in (1, 2, 3)),
        ]
    )


def scored_pixels(truth: Tensor, limits: tuple[float, float], crop: Crop) -> Tensor:
    """Return which pixels of true depths (H, W) are scored (H, W) bool: strictly within the limits, in the crop."""
    within = (truth > limits[0]) & (truth < limits[1])
    if crop:
        rows, columns = (eigen_crop if crop == "eigen" else garg_crop)(*truth.shape)
        inside = torch.zeros_like(within)
        inside[rows, columns] = True
        within &= inside
    return within


def eigen_crop(height: int, width: int) -> tuple[slice, slice]:
    """Return rows and columns of Eigen's crop for NYUv2, [45:471, 41:601] at 480 x 640, in proportion elsewhere."""
    top, bottom = round(45 * height / 480), round(471 * height / 480)
    left, right = round(41 * width / 640), round(601 * width / 640)
    return slice(top, bottom), slice(left, right)


def garg_crop(height: int, width: int) -> tuple[slice, slice]:
    """Return rows and columns of the crop of Garg and others (ECCV 2016) for KITTI, borders rounded down."""
    rows = slice(int(0.40810811 * height), int(0.99189189 * height))
    return rows, slice(int(0.03594771 * width), int(0.96405229 * width))
