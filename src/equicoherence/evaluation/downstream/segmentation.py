"""Semantic segmentation: a linear classifier of patch tokens (DINOv2's light protocol), mIoU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.data.sets.files import resized_labels
from equicoherence.data.sets.kinds import IGNORE, SegmentationSet
from equicoherence.evaluation.downstream.task import Row, Task, TaskScore, Track, spread
from equicoherence.evaluation.downstream.tokens import Tokens, extract_tokens, input_size, resizable, stride
from equicoherence.evaluation.model import FrozenModel


@dataclass(frozen=True)
class Segmentation(Task):
    """BatchNorm and a 1x1 convolution on the patch tokens of a frozen encoder, logits enlarged bilinearly.

    pixels: short side of the input. steps, batch, lr: of AdamW, the rate falling along a cosine. train, test: images of
    each split, at most; 0 for all.
    """

    pixels: int = 224
    steps: int = 600
    batch: int = 16
    lr: float = 1e-3
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "segmentation"
    kind: ClassVar[str] = "segmentation"
    metrics: ClassVar[dict[str, bool]] = {"miou": True, "accuracy": True}

    @property
    def protocol(self) -> str:
        return "frozen, linear"

    def score(self, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track) -> TaskScore:
        encoder = resizable(model.encoder).eval()
        known, asked = spread(len(train), self.train), spread(len(test), self.test)
        shapes = [train.image(i).shape[:2] for i in known[:8]]
        size = input_size(shapes, self.pixels, stride(encoder, model.size))
        tokens = extract_tokens(encoder, train.image, known, size, track, "segmentation: training images")
        labels = torch.from_numpy(np.stack([resized_labels(train.mask(i), size) for i in known]))
        head = self._train(tokens, labels, len(train.classes), track)
        tokens = extract_tokens(encoder, test.image, asked, size, track, "segmentation: test images")
        counts = torch.zeros(len(train.classes), len(train.classes), dtype=torch.long)
        common = int(labels[labels != IGNORE].bincount().argmax())
        pictures = {}
        for position, index in enumerate(asked):
            truth = torch.from_numpy(test.mask(index).astype(np.int64))
            predicted = segment(head, tokens.patches[position : position + 1], tuple(truth.shape))[0].cpu()
            counts += confusion(predicted, truth, len(train.classes))
        iou = intersection_over_union(counts)
        floor = intersection_over_union(_constant(counts, common))
        rows = [Row("miou", float(iou.nanmean()), floor=float(floor.nanmean()))]
        rows += [Row("iou", float(value), name) for name, value in zip(train.classes, iou)]
        right = counts.diagonal().sum() / counts.sum()
        rows.append(Row("accuracy", float(right), floor=float(counts[common].sum() / counts.sum())))
        return TaskScore(rows, pictures, {"train": len(known), "val": len(asked)})

    def _train(self, tokens: Tokens, labels: Tensor, classes: int, track: Track) -> nn.Module:
        width, device = tokens.patches.shape[-1], tokens.patches.device
        generator = torch.Generator().manual_seed(self.seed)
        head = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, classes, 1))
        nn.init.normal_(head[1].weight, std=0.01, generator=generator)  # type: ignore[arg-type]
        nn.init.zeros_(head[1].bias)  # type: ignore[arg-type]
        head.to(device)
        optimizer = torch.optim.AdamW(head.parameters(), self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in track(range(self.steps), "segmentation: head"):
            chosen = torch.randint(len(tokens), (min(self.batch, len(tokens)),), generator=generator)
            logits = head(tokens.patches[chosen.to(tokens.patches.device)].to(device).float().permute(0, 3, 1, 2))
            target = labels[chosen].to(device).long()
            logits = F.interpolate(logits, target.shape[1:], mode="bilinear")
            F.cross_entropy(logits, target, ignore_index=IGNORE).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        return head.eval()


@torch.no_grad()
def segment(head: nn.Module, patches: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the classes (B, H, W) that a head says of patch tokens (B, h, w, C), logits enlarged to ``size``."""
    logits = head(patches.float().permute(0, 3, 1, 2))
    return F.interpolate(logits, size, mode="bilinear").argmax(dim=1)


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels (classes, classes): rows by true class, columns by predicted one; `IGNORE` is left out."""
    counted = truth != IGNORE
    pairs = truth[counted] * classes + predicted[counted]
    return pairs.bincount(minlength=classes**2).view(classes, classes)


def intersection_over_union(counts: Tensor) -> Tensor:
    """Return the IoU (classes,) of a confusion matrix; nan for classes that are neither true nor predicted."""
    both = counts.diagonal()
    return both / (counts.sum(dim=0) + counts.sum(dim=1) - both)


def _constant(counts: Tensor, common: int) -> Tensor:
    """Return the confusion matrix of the prediction ``common`` everywhere."""
    constant = torch.zeros_like(counts)
    constant[:, common] = counts.sum(dim=1)
    return constant
