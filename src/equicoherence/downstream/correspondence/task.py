"""Correspondence: patch tokens of two images matched by mutual nearest neighbours; how many true matches are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import PosedViewSet, SampleSet


@dataclass(frozen=True)
class Correspondence(Task):
    """Tokens of two renders of one object, matched, by the angle between the two. Nothing is trained.

    As in probe3d (El Banani et al. 2024), only tokens on the object are matched: those whose centre is on it. Two
    tokens match if each is the nearest of the other by cosine. Depth and pose give the true place of a token: where the
    second render shows the point at its centre, if nothing is in front of it. A match is right if the centre of the
    second token is at most ``within`` token widths from the true place.

    matched: of the tokens with a true place, the share with a right match. It stays below 1 for any encoder, because
        several tokens of a side that rotates out of view fall on one. precision: of the matches of tokens with a true
        place, the share that is right; chance: the same for a random token of the object. The floor of both: each token
        is matched with the token at the same position in the image.

    mirrored: confusion of left and right. Of the wrong matches, the share at the mirror place: where the second render
        shows the mirror image of the point across the object's own plane x = 0. Only wrong matches count whose mirror
        place is visible there (the surface is there, with nothing in front) and more than 2 ``within`` from the true
        place. chance: the same for a random token of the object among the wrong ones. An object whose two sides differ
        has few mirror places, or none.

    Each score is given for the pairs of each ``step`` degrees; matched and precision also as the mean over these, and
    mirrored over all pairs together, because single steps have few such matches. The angle is that of the rotation from
    one pose to the other, about any axis.

    pairs: largest number of pairs per step, spread over the objects of the set. Small angles come from the states of
        paths (``render --paths 2 --states 5``).
    tokens: per side of the input, which is as many strides of the encoder wide: all encoders are matched on one grid,
        and ``within`` is the same distance for all.
    """

    tokens: int = 16
    step: int = 15
    pairs: int = 50
    within: float = 1.0

    name: ClassVar[str] = "correspondence"
    order: ClassVar[int] = 64
    caption: ClassVar[str] = (
        "Matches of two renders: right ones green, wrong ones red, those at the mirror place blue; the curve by angle."
    )
    kind: ClassVar[str] = "views"
    metrics: ClassVar[dict[str, bool]] = {"matched": True, "precision": True, "mirrored": False}

    @property
    def protocol(self) -> str:
        return f"frozen, mutual nearest of {self.tokens} x {self.tokens} tokens"

    def score(self, model: FrozenModel, train: None, test: PosedViewSet, track: Track) -> TaskScore:
        from equicoherence.downstream.correspondence.renders import score_correspondence

        return score_correspondence(self, model, test, track)


@dataclass(frozen=True)
class HomographyCorrespondence(Task):
    """Tokens of two views of a photograph with a known homography, matched. Nothing is trained.

    The views are those of the task ``homography`` (DeTone, Malisiewicz, Rabinovich 2016): a square of a photograph, and
    the square with its corners each moved by up to a quarter of its side along x and y, warped to a square. Matches,
    ``within``, matched, precision, floors and chance are those of the task ``correspondence``; all tokens are matched,
    and a true place is one inside the second square. Each score is given by how far the corners moved, in tenths of the
    side, on average over the four, and as the mean over these. There is no ``mirrored``, because the plane in which an
    object is symmetric is known of a mesh, not of a photograph.

    tokens: per side of the square, as in ``correspondence``.
    pairs: number of pairs, from the images of the test split in turn.
    """

    tokens: int = 16
    pairs: int = 300
    within: float = 1.0
    seed: int = 0

    name: ClassVar[str] = "homography-correspondence"
    order: ClassVar[int] = 66
    caption: ClassVar[str] = "Matches of two views of a photograph: right ones green, wrong ones red."
    kind: ClassVar[str] = "images"
    metrics: ClassVar[dict[str, bool]] = {"matched": True, "precision": True}

    @property
    def protocol(self) -> str:
        return f"frozen, mutual nearest of {self.tokens} x {self.tokens} tokens"

    def score(self, model: FrozenModel, train: SampleSet, test: SampleSet, track: Track) -> TaskScore:
        from equicoherence.downstream.correspondence.photographs import score_homography_correspondence

        return score_homography_correspondence(self, model, test, track)
