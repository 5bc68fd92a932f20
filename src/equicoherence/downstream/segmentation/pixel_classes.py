"""Classes of pixels: the loss of logits, and what is counted of predictions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.sets.kinds import IGNORE


def nearest_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return labels (B, H, W) at another size (B, h, w), each from the pixel below its centre."""
    if labels.shape[1:] == size:
        return labels
    rows, columns = (
        ((torch.arange(new, device=labels.device) + 0.5) * (old / new)).long()
        for old, new in zip(labels.shape[1:], size)
    )
    return labels[:, rows[:, None], columns]


def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B, C, h, w) over all pixels of labels (B, H, W) but `IGNORE`.

    Logits are enlarged bilinearly. Where all pixels are ignored the loss is 0.
    """
    labels = labels.long()
    if logits.shape[2:] != labels.shape[1:]:
        logits = F.interpolate(logits, labels.shape[1:], mode="bilinear")
    total = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels (classes, classes): rows by true class, columns by predicted one; `IGNORE` is left out.

    predicted, truth: integers of one shape.
    """
    pairs = torch.where(truth == IGNORE, classes**2, truth.long() * classes + predicted)
    return pairs.flatten().bincount(minlength=classes**2 + 1)[: classes**2].view(classes, classes)


def intersection_over_union(counts: Tensor) -> Tensor:
    """Return the IoU (classes,) of a confusion matrix; nan for classes that are neither true nor predicted."""
    both = counts.diagonal()
    return both / (counts.sum(dim=0) + counts.sum(dim=1) - both)


def constant(counts: Tensor, common: int) -> Tensor:
    """Return the confusion matrix of the prediction ``common`` everywhere, from that of any other."""
    same = torch.zeros_like(counts)
    same[:, common] = counts.sum(dim=1)
    return same
