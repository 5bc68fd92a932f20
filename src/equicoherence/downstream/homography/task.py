"""Homography: how far the corners of a patch moved, told from the patch and from what they moved to (DeTone et al.)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.model import FrozenModel
    from equicoherence.sets.kinds import SampleSet


@dataclass(frozen=True)
class HomographyEstimation(Task):
    """Three convolutions on the tokens of both patches, which give how far each token's place moved.

    As DeTone, Malisiewicz, Rabinovich (2016): a square of a photograph; its corners each moved by up to a quarter of
    its side along x and y; the quadrilateral drawn as a square. Both squares go through the encoder one by one; their
    tokens, side by side on the channels, through the head. The homography that fits the map of displacements best
    moves the corners. Error: mean distance of the corners, in pixels of a patch of 128, whatever ``pixels`` is.
    Photographs are squashed to one size, the short side 240 / 128 of the patch's.

    encoder: whether it is trained too. pixels: side of the patch, brought to a multiple of the encoder's stride.
    hidden: channels between the convolutions. pairs, test_pairs: of each split, from its images in turn; those of
    training stay the same for a frozen encoder, and are drawn anew, of images in random order, in each step of a
    fine-tuned one. steps, batch, lr: of AdamW, the rate rising, then falling along a cosine; encoder_lr: that of the
    encoder.
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
        "The square (white), where its corners went (green) and where the head says (red); beside it what was encoded."
    )
    kind: ClassVar[str] = "images"
    metrics: ClassVar[dict[str, bool]] = {"corner_error": False}

    @property
    def protocol(self) -> str:
        return f"{self.encoder}, displacement map"

    def score(self, model: FrozenModel, train: SampleSet, test: SampleSet, track: Track) -> TaskScore:
        from equicoherence.downstream.homography.scoring import score_homography

        return score_homography(self, model, train, test, track)
