"""Turned photographs: by how much was the camera turned between two photographs of a scene?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.evaluation.model import FrozenModel
    from equicoherence.sets.kinds import TurnedSet


@dataclass(frozen=True)
class TurnedPhotographs(Task):
    """A probe regresses the turn between two photographs of a scene from the features of both, of a frozen encoder.

    What `transformation` asks of pairs that a renderer makes, asked of pairs that a camera made, in which no renderer
    can have left a trace: the same crop (.66 of the shorter side, in the middle), round band, probes and three figures:
    R2 of the signed angle, R2 of its absolute value, and its side, the accuracy of left against right (chance .5) where
    it is above 10 degrees. The turn leads from the first to the second of a pair, in degrees counter-clockwise between
    -180 and 180. Scenes of the test are none of the probes' training. Intervals: of scenes drawn anew; one scene alone
    has none.

    pairs: of each scene, evenly spread over its ordered pairs; those of a scene that has fewer come again.
    repeats: seeds of the MLP probe.
    seed: of the MLP probe.
    """

    pairs: int = 12
    repeats: int = 1
    seed: int = 0

    name: ClassVar[str] = "turned"
    order: ClassVar[int] = 75
    revision: ClassVar[int] = 1 + TransformationRegression.revision
    kind: ClassVar[str] = "turned"
    metrics: ClassVar[dict[str, bool]] = {"r2": True, "accuracy": True}
    probe_order: ClassVar[tuple[str, ...]] = ("mlp", "linear")

    @property
    def protocol(self) -> str:
        return "frozen, probes of pairs"

    def score(self, model: FrozenModel, train: TurnedSet, test: TurnedSet, track: Track) -> TaskScore:
        from equicoherence.downstream.turned.scoring import score_turned

        return score_turned(self, model, train, test, track)
