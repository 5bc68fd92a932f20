"""Four turns: is an image upright, or turned by 90, 180 or 270 degrees [RotBench; RotNet, Gidaris et al. 2018]?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.model import FrozenModel


@dataclass(frozen=True)
class FourTurns(Task):
    """A linear classifier tells from one frozen feature whether an image is turned by 0, 90, 180 or 270 degrees.

    Whole central squares are turned counter-clockwise, each image in all four ways, so that a guess is right in one
    case of four. ``confused`` looks at the hard pair alone: of images turned by 90 or by 270 degrees, the share for
    which the classifier holds the other of the two for likelier; .5 is a guess. A feature that is the same for an image
    and its mirror image cannot do better: a turn by 90 degrees of an image is the mirror image of a turn by 270 of its
    mirror image. ``share`` is the table of confusions, "90 as 270" those turned by 90 that were held for 270.

    train, test: images of each split, at most, evenly spread.
    epochs: of the classifier's training.
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
    least: ClassVar[dict[str, int]] = {"train": 2, "test": 1}
    by_default: ClassVar[bool] = False
    advice: ClassVar[str] = (
        "Who wants invariance (satellite, microscopy, inspection) looks for a top-1 near 25 %: the feature does not "
        "say which way up an image is. A “confused” near .5 beside a top-1 far above 25 % says that the encoder is "
        "blind to mirror images, not to turns."
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
