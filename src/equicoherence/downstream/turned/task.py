"""Rotated photographs: by how much was the camera rotated between two photographs of a scene?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import TurnedSet


@dataclass(frozen=True)
class TurnedPhotographs(Task):
    """A probe predicts the rotation between two photographs of a scene from the frozen features of both.

    It is the task `transformation` on pairs from a camera, which no renderer can have left a trace in: the same crop
    (.66 of the shorter side, central), round band and probes, and the same three scores: R2 of the signed angle, R2 of
    its absolute value, and the accuracy of its sign (chance .5) above 10 degrees. The angle is that from the first to
    the second photograph of a pair, in degrees counter-clockwise between -180 and 180. Test scenes are not used to
    train the probes. Intervals are bootstrapped over scenes; a single scene has none.

    pairs: number of pairs per scene, evenly spread over its ordered pairs; if there are fewer, they are repeated.
    repeats: number of seeds of the MLP probe.
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
