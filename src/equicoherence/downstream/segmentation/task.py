"""Semantic segmentation: a linear classifier of patch tokens (DINOv2's light protocol), or UPerNet; mIoU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import SegmentationSet


@dataclass(frozen=True)
class Segmentation(Task):
    """Classification of pixels by a linear head on a frozen encoder, or by a UPerNet that is trained with the encoder.

    encoder: ``frozen``, BatchNorm and a 1x1 convolution on its patch tokens; ``fine-tuned``, see `upernet.tune`.
    pixels: short side of the input; all images are resized to the median aspect.
    steps, batch, lr: of AdamW on the linear head, with a cosine schedule. The loss is taken at a quarter of the input's
        resolution, where mIoU is the same within noise and a step costs a tenth.
    tuned_steps, tuned_batch (at least 2), tuned_lr, channels: of the UPerNet.
    train, test: largest number of images of each split; 0 for all.

    Scores are taken at the resolution of the masks. Published protocols do more. DINOv2's linear head: 40,000 steps at
    512 pixels, with crops, mirrored images and color changes, and sliding-window tests. Here: 2,000 steps at 224
    pixels, on tokens of whole, resized images that are computed once, in training and in tests. UPerNet: 160,000 steps
    at 512 pixels, with color changes and an auxiliary head. Here: few steps, with only crops and mirrored images.
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
    order: ClassVar[int] = 10
    caption: ClassVar[str] = "A class has one color in all pictures; the legend names those that occur."
    kind: ClassVar[str] = "segmentation"
    metrics: ClassVar[dict[str, bool]] = {"miou": True, "accuracy": True, "iou": True}
    least: ClassVar[dict[str, int]] = {"tuned_batch": 2}

    @property
    def protocol(self) -> str:
        return "frozen, linear" if self.encoder == "frozen" else f"fine-tuned, UPerNet of {self.channels} channels"

    def score(self, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track) -> TaskScore:
        from equicoherence.downstream.segmentation.scoring import score_segmentation

        return score_segmentation(self, model, train, test, track)
