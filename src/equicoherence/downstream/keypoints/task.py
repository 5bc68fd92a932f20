"""Keypoints: a heatmap head on patch tokens of a frozen encoder, or of one that is trained with it; PCKh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import KeypointSet


@dataclass(frozen=True)
class KeypointDetection(Task):
    """A head of transposed convolutions predicts a heatmap for each point (Xiao, Wu, Wei 2018).

    Only the head is trained, or also the encoder (``fine-tuned``), with cross-entropy over positions against Gaussians.
    The predicted position is the mean of the probability around the largest cell. Points outside the image are not used
    in training. Mirrored images are used too, if the set says which points correspond in them.

    encoder: whether the encoder is trained too.
    pixels: short side of the input.
    hidden: channels of the head. Its maps are twice as fine as the tokens, and twice again, until a cell is at most 8
        pixels of the input.
    sigma: of the targets, in pixels of the input.
    steps, batch, lr: of AdamW, with warm-up and a cosine schedule; encoder_lr: rate of the encoder.
    train, test: largest number of images of each split; 0 for all.

    Published protocols do more: images are rotated and scaled at random about the person, and positions are averaged
    with those of the mirrored image in tests. Here neither is done, and there are 500 steps.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 224
    hidden: int = 128
    sigma: float = 8.0
    steps: int = 500
    batch: int = 32
    lr: float = 1e-3
    encoder_lr: float = 1e-4
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "keypoints"
    order: ClassVar[int] = 50
    caption: ClassVar[str] = "True points are green rings, each joined to the red dot of the prediction."
    kind: ClassVar[str] = "keypoints"
    metrics: ClassVar[dict[str, bool]] = {"pckh@0.5": True, "pckh@0.1": True}

    @property
    def protocol(self) -> str:
        return f"{self.encoder}, heatmaps"

    def score(self, model: FrozenModel, train: KeypointSet, test: KeypointSet, track: Track) -> TaskScore:
        from equicoherence.downstream.keypoints.scoring import score_keypoints

        return score_keypoints(self, model, train, test, track)
