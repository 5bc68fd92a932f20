"""SPair: marked points of an object, found on another object of its category by patch tokens; PCK@.10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import PointPairSet

PUBLISHED = 768  # pixels of the input


@dataclass(frozen=True)
class SemanticCorrespondence(Task):
    """Marked points of a source image, found in a target image of another object. Nothing is trained.

    As in DIFT (Tang et al. 2023): tokens are upsampled bilinearly to the size of each image; the match of a point is
    the pixel of the target whose features are nearest, by cosine, to those of the point's own pixel. It is right if its
    distance from the marked pixel is at most a tenth of the longer side of the target's bounding box (PCK@.10, Min et
    al. 2019). Per image: the mean over pairs of the share of right points. Per point: the share of all points. Papers
    report one or the other, over all pairs or as the mean over categories: both are given over all pairs, and for each
    category. The floor of both: each point is found at the same relative position in the image.

    pixels: side of the input, to which all images are resized; DIFT uses 768.
    test: largest number of pairs, evenly spread over the list; 0 for all.
    """

    pixels: int = 448
    test: int = 0

    name: ClassVar[str] = "spair"
    order: ClassVar[int] = 68
    caption: ClassVar[str] = (
        "Marked points of the left image and where they are found: right ones green, wrong ones red."
    )
    kind: ClassVar[str] = "point pairs"
    metrics: ClassVar[dict[str, bool]] = {"pck@0.1_image": True, "pck@0.1_point": True}

    @property
    def protocol(self) -> str:
        size = "" if self.pixels == PUBLISHED else f" at {self.pixels} px"
        return f"frozen, nearest pixel{size}"

    def score(self, model: FrozenModel, train: None, test: PointPairSet, track: Track) -> TaskScore:
        from equicoherence.downstream.spair.scoring import score_spair

        return score_spair(self, model, test, track)
