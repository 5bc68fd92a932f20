"""How features look: principal components of patch tokens as colours, and the nearest neighbours of some images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import SampleSet


@dataclass(frozen=True)
class Looks(Task):
    """Pictures of the backbone and, for a run with a split, of z_inv and z_equi; nothing is trained.

    PCA: the first three principal components of the patch tokens of ``shown`` images, fitted on these together, as red,
    green and blue. Neighbours: for each of ``queries`` images, the ``neighbours`` nearest by the cosine of the pooled
    features, among up to ``among`` images resized to the encoder's own input; all are evenly spread over the set.

    pixels: short side of the images of the PCA.

    If images are in several folders, which are often classes, ``same_folder`` is the share of the nearest images in the
    same folder as the query, over all these images as queries, for the backbone, and by name for z_inv and z_equi. Its
    floor is that of random neighbours. With few images per folder it stays below 1 for any encoder.
    """

    shown: int = 6
    pixels: int = 224
    queries: int = 4
    neighbours: int = 5
    among: int = 500

    name: ClassVar[str] = "looks"
    order: ClassVar[int] = 80
    caption: ClassVar[str] = (
        "Principal components of patch features as red, green and blue; images nearest to the one on the left."
    )
    kind: ClassVar[str] = "images"
    metrics: ClassVar[dict[str, bool]] = {"same_folder": True}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.among <= self.neighbours:
            raise ValueError(f"among must be larger than neighbours, {self.neighbours}, got {self.among}")

    @property
    def protocol(self) -> str:
        return "frozen, nothing trained"

    def score(self, model: FrozenModel, train: SampleSet | None, test: SampleSet, track: Track) -> TaskScore:
        from equicoherence.downstream.looks.scoring import score_looks

        return score_looks(self, model, train, test, track)
