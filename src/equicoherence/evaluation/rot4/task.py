"""Four rotations: is an image upright, or rotated by 90, 180 or 270 degrees [RotBench; RotNet, Gidaris et al. 2018]?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.frozen_model import FrozenModel


@dataclass(frozen=True)
class FourTurns(Task):
    """A linear classifier predicts from one frozen feature whether an image is rotated by 0, 90, 180 or 270 degrees.

    Whole central squares are rotated counter-clockwise, each image in all four ways, so chance is 25 %. ``confused``
    considers only the hard pair: of the images rotated by 90 or 270 degrees, the share for which the wrong one of the
    two is more likely (chance .5). A feature that is the same for an image and its mirror image cannot do better,
    because an image rotated by 90 degrees is the mirror image of its mirror image rotated by 270. ``share`` is the
    confusion matrix: "90 as 270" are images rotated by 90 that were classified as 270.

    train, test: largest number of images of each split, evenly spread.
    epochs: of the training of the classifier.
    seed: of its held-out images and its order.
    """

    train: int = 3000
    test: int = 1000
    epochs: int = 30
    seed: int = 0

    name: ClassVar[str] = "rot4"
    order: ClassVar[int] = 9
    revision: ClassVar[int] = 1 + TransformationRegression.revision
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = {"top1": True, "confused": False, "share": True}
    unranked: ClassVar[tuple[str, ...]] = ("share",)
    least: ClassVar[dict[str, int]] = {"train": 2, "test": 1}
    by_default: ClassVar[bool] = False
    advice: ClassVar[str] = (
        "If you want invariance (satellite, microscopy, inspection), look for a top-1 near 25 %: the feature does not "
        "show how an image is rotated. A “confused” near .5 with a top-1 far above 25 % means that the encoder is "
        "mirror-blind, but not rotation-invariant."
    )

    @property
    def protocol(self) -> str:
        return "frozen, linear"

    def obstacle(self, train: ImageSource, test: ImageSource) -> str:
        for split, source, least in (("train", train, 2), ("val", test, 1)):
            if len(source) < least:
                return f"needs at least {least} images in split {split}, which has {len(source)}"
        return ""

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.rot4.scoring import score_four_turns

        return score_four_turns(self, model, train, test, track)
