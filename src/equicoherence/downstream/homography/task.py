"""Homography: predict how far the corners of a patch moved, from the patch and its warped copy (DeTone et al.)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import SampleSet


@dataclass(frozen=True)
class HomographyEstimation(Task):
    """Three convolutions on the tokens of both patches predict the displacement of each token position.

    As in DeTone, Malisiewicz, Rabinovich (2016): a square of a photograph; its corners each moved by up to a quarter of
    its side along x and y; the quadrilateral warped to a square. The encoder gets both squares separately; the head
    gets their tokens, concatenated along the channels. The homography that fits the displacements best moves the
    corners. Error: mean distance of the corners, in pixels of a patch of 128, whatever ``pixels`` is. Photographs are
    resized so that the short side is 240 / 128 of the patch.

    encoder: whether the encoder is trained too.
    pixels: side of the patch, rounded to a multiple of the encoder's stride.
    hidden: channels between the convolutions.
    pairs, test_pairs: number of pairs of each split, from its images in turn. Training pairs are fixed for a frozen
        encoder, and drawn anew in each step, from images in random order, for a fine-tuned one.
    steps, batch, lr: of AdamW, with warm-up and a cosine schedule; encoder_lr: rate of the encoder.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 128
    hidden: int = 128
    pairs: int = 6000
    test_pairs: int = 1000
    steps: int = 1200
    batch: int = 32
    lr: float = 1e-3
    encoder_lr: float = 1e-4
    seed: int = 0

    name: ClassVar[str] = "homography"
    order: ClassVar[int] = 60
    caption: ClassVar[str] = (
        "The square (white), its true corners (green) and the predicted ones (red), beside the two encoded patches."
    )
    kind: ClassVar[str] = "images"
    metrics: ClassVar[dict[str, bool]] = {"corner_error": False}

    @property
    def protocol(self) -> str:
        return f"{self.encoder}, displacement map"

    def score(self, model: FrozenModel, train: SampleSet, test: SampleSet, track: Track) -> TaskScore:
        from equicoherence.downstream.homography.scoring import score_homography

        return score_homography(self, model, train, test, track)
