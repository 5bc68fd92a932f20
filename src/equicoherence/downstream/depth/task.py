"""Depth of single images: a linear head on patch tokens (DINOv2's light protocol), or the encoder trained with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import DepthSet


@dataclass(frozen=True)
class Depth(Task):
    """Depth of pixels from a linear head (`DepthHead`) on the tokens of an encoder, which is frozen or trained with it.

    encoder: ``frozen`` is DINOv2's protocol (Oquab and others 2023): patch and class token -> 256 bins; scale-invariant
        log loss and gradient loss. It differs to save time: tokens are computed once, so images are not cropped,
        mirrored or changed in color; depth is compared at 4 x 4 positions per patch token, not at all pixels; all
        images are resized to one size; and there are fewer steps, with a better start (see `DepthHead`).
        ``fine-tuned``: encoder and head are trained together for 5 epochs with the scale-invariant log loss and
        mirrored images, like ZoeDepth (Bhat and others 2023) and Depth Anything. It is not their network: the head is
        linear instead of DPT and metric bins, there is no pretraining on relative depth, images are not rotated,
        cropped or changed in color, and predictions are not averaged with those of the mirrored image.
    pixels: short side of the input.
    steps, batch, lr: of AdamW on the head of a frozen encoder, with a cosine schedule.
    epochs, tuned_batch, tuned_lr: of fine-tuning; tuned_lr is the rate of the encoder, ``lr`` that of the head.
    train, test: largest number of images of each split; 0 for all.

    Scores (`depth_errors`) are taken at the resolution of the depth maps, over the pixels of `scored_pixels`;
    predictions are upsampled bilinearly and clamped to the limits. They are averaged over images; images without such a
    pixel are left out. Predictions are not averaged with those of the mirrored image, as in DINOv2. The floor is a
    constant: the median depth of up to 512 training images.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 224
    steps: int = 600
    batch: int = 16
    lr: float = 1e-3
    epochs: int = 5
    tuned_batch: int = 8
    tuned_lr: float = 5e-5
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "depth"
    order: ClassVar[int] = 20
    revision: ClassVar[int] = 2
    caption: ClassVar[str] = "The colors are those of the true depth: dark is near, yellow is far."
    kind: ClassVar[str] = "depth"
    metrics: ClassVar[dict[str, bool]] = {
        "rmse": False,
        "abs_rel": False,
        "sq_rel": False,
        "log10": False,
        "rmse_log": False,
        "silog": False,
        "delta1": True,
        "delta2": True,
        "delta3": True,
    }

    @property
    def protocol(self) -> str:
        return "frozen, linear" if self.encoder == "frozen" else "fine-tuned, linear head"

    def score(self, model: FrozenModel, train: DepthSet, test: DepthSet, track: Track) -> TaskScore:
        from equicoherence.downstream.depth.scoring import score_depth

        return score_depth(self, model, train, test, track)
