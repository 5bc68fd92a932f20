"""Keypoints: a heatmap head on patch tokens of a frozen encoder, or of one that is trained with it; PCKh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.model import FrozenModel
    from equicoherence.sets.kinds import KeypointSet


@dataclass(frozen=True)
class KeypointDetection(Task):
    """A head that draws a heatmap of each point, by transposed convolutions (Xiao, Wu, Wei 2018).

    The head alone is trained, or the encoder with it (``fine-tuned``), with cross-entropy over positions against
    Gaussians; a place is the probability's mean about the largest cell. Points beyond the image are not trained on.
    Mirrored images are trained on too where the set says which point is which in them.

    encoder: whether it is trained too. pixels: short side of the input. hidden: channels of the head, whose maps are
    twice as fine as tokens, and twice again, until a cell is of at most 8 pixels of the input. sigma: of the targets,
    in pixels of the input. steps, batch, lr: of AdamW, the rate rising, then falling along a cosine; encoder_lr:
    that of the encoder. train, test: images of each split, at most; 0 for all.

    Published protocols do more: images rotated and scaled at random about the person, and places averaged with those of
    the mirrored image in tests; here neither, and 500 steps.
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
    caption: ClassVar[str] = "True points are green rings, each joined to the red dot where the head puts it."
    kind: ClassVar[str] = "keypoints"
    metrics: ClassVar[dict[str, bool]] = {"pckh@0.5": True, "pckh@0.1": True}

    @property
    def protocol(self) -> str:
        return f"{self.encoder}, heatmaps"

    def score(self, model: FrozenModel, train: KeypointSet, test: KeypointSet, track: Track) -> TaskScore:
        from equicoherence.downstream.keypoints.scoring import score_keypoints

        return score_keypoints(self, model, train, test, track)
