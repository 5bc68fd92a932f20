"""Object detection and instance segmentation: Mask R-CNN on a frozen or fine-tuned encoder, COCO's AP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import DetectionSet


@dataclass(frozen=True)
class Detection(Task):
    """Mask R-CNN, or Faster R-CNN without masks, on ViTDet's simple pyramid of the last patch tokens.

    All images are resized to one size of median aspect; published detectors keep the aspect of each image and pad.
    Defaults suit a CPU and small sets. As published: pixels 1024, channels 256, regions 512, and many more steps, with
    images at random scales and crops (with a frozen encoder, images here are not changed). coco128 shows only that
    everything runs: its scores say little about an encoder.

    encoder: ``frozen``, tokens are computed once; or ``fine-tuned``, see `train_with_encoder`.
    labels: ``classes``; or ``agnostic``, where all are one class, for sets with too few examples of each class.
    pixels: short side of the input.
    steps, batch: of AdamW.
    lr, encoder_lr: of the detector and of a fine-tuned encoder; linear warm-up over the first tenth of the steps, then
        a cosine schedule.
    channels, regions: see `build_detector`.
    train, test: largest number of images of each split; 0 for all.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    labels: Literal["classes", "agnostic"] = "classes"
    pixels: int = 224
    steps: int = 300
    batch: int = 4
    lr: float = 1e-3
    encoder_lr: float = 1e-4
    channels: int = 64
    regions: int = 64
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "detection"
    order: ClassVar[int] = 30
    caption: ClassVar[str] = "Predicted boxes (scores from 0.3, or only the best) are solid; true boxes are dashed."
    kind: ClassVar[str] = "detection"
    needs: ClassVar[dict[str, tuple[str, ...]]] = {"coco": ("torchmetrics", "faster_coco_eval")}
    metrics: ClassVar[dict[str, bool]] = dict.fromkeys(("apb", "apb50", "apb75", "apm", "apm50", "apm75"), True)

    @property
    def protocol(self) -> str:
        kind = "class-agnostic " if self.labels == "agnostic" else ""
        return f"{self.encoder}, {kind}Mask R-CNN of {self.channels} channels"

    def score(self, model: FrozenModel, train: DetectionSet, test: DetectionSet, track: Track) -> TaskScore:
        from equicoherence.downstream.detection.scoring import score_detection

        return score_detection(self, model, train, test, track)
