"""SPair: points on a thing found again on another of its category, by the likeness of patch tokens; PCK@.10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.model import FrozenModel
    from equicoherence.sets.kinds import PointPairSet

PUBLISHED = 768  # pixels of the input


@dataclass(frozen=True)
class SemanticCorrespondence(Task):
    """Marked points of a source image, found in a target image of another thing. Nothing is trained.

    As DIFT scores (Tang et al. 2023): tokens are enlarged bilinearly to each image's own size; a point's match is the
    pixel of the target whose features are nearest to those of the point's own pixel, by cosine. It is right where it is
    no farther from the marked pixel than a tenth of the longer side of the target's bounding box (PCK@.10, Min et al.
    2019). Per image: the mean over pairs of the share of their points that are right. Per point: the share of all
    points. Papers report one or the other, over all pairs or as the mean over categories: the two are given over all
    pairs, and for each category. The floor of both: each point is found at the same place in the image, in shares of
    its sides.

    pixels: side of the input, to which all images are squashed; DIFT takes 768. test: pairs, at most, evenly spread
    over the list; 0 for all.
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
