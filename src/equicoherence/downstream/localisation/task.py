"""Localisation: the box of the one object of an image, from patch tokens of a frozen encoder; IoU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import BoxSet


@dataclass(frozen=True)
class Localisation(Task):
    """`BoxHead` on the patch tokens of a frozen encoder, trained with the GIoU loss (Rezatofighi et al. 2019).

    ``iou`` is the mean over images, ``corloc`` the share of images with an IoU of .5 or more (Deselaers et al. 2010).

    pixels: short side of the input.
    steps, batch, lr: of AdamW, with a cosine schedule.
    train, test: largest number of images of each split; 0 for all.
    """

    pixels: int = 96
    steps: int = 600
    batch: int = 64
    lr: float = 1e-3
    train: int = 4000
    test: int = 1000
    seed: int = 0

    name: ClassVar[str] = "localisation"
    order: ClassVar[int] = 40
    caption: ClassVar[str] = "The predicted box is solid, the true one dashed."
    kind: ClassVar[str] = "box"
    metrics: ClassVar[dict[str, bool]] = {"iou": True, "corloc": True}

    @property
    def protocol(self) -> str:
        return "frozen, attentive"

    def score(self, model: FrozenModel, train: BoxSet, test: BoxSet, track: Track) -> TaskScore:
        from equicoherence.downstream.localisation.scoring import score_localisation

        return score_localisation(self, model, train, test, track)
