"""3DIEBench on any encoder: what its features tell of pose, color and class, and retrieval of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import POSES, Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.data import Loader
    from equicoherence.evaluation.model import FrozenModel


@dataclass(frozen=True)
class PoseProbes(Task):
    """Linear and MLP probes read pose, color and class from frozen features of renders (SIE's evaluation).

    Targets: ``relative_rotation`` and ``color`` (differences of floor and light hue) of two views,
    ``absolute_rotation`` and ``class`` (linear probe alone) of one. All probes of all representations train in one pass
    over cached features; see `equicoherence.evaluation.poses.probes`.

    epochs, batch, learning_rate: of the probes.
    hidden: width of the MLP's layers.
    test_pairs: pairs of views of each object that are scored.
    views: of each object; 0 for as many as most objects have.
    seed: of the draws.
    """

    epochs: int = 300
    batch: int = 256
    learning_rate: float = 1e-3
    hidden: int = 1024
    test_pairs: int = 5
    views: int = 0
    seed: int = 0

    name: ClassVar[str] = "pose"
    order: ClassVar[int] = 3
    revision: ClassVar[int] = 4
    kind: ClassVar[str] = POSES
    metrics: ClassVar[dict[str, bool]] = {"r2": True, "top1": True, "r2_scalar_mean": True}
    probe_order: ClassVar[tuple[str, ...]] = ("mlp", "linear")

    @property
    def protocol(self) -> str:
        return "frozen, probes of views"

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.poses.scoring import score_pose

        return score_pose(self, model, train, test, track)


@dataclass(frozen=True)
class ViewRetrieval(Task):
    """A predictor is told what changes from one view to another: is what it predicts nearest to the true view?

    As in SIE's evaluation (Garrido et al., 2023, table 2); see `equicoherence.evaluation.poses.retrieval`. Predictors:
    ``own``, of a run on poses whose method has one, in the space of its embeddings (``own, hues too`` where it was
    conditioned on hues as well, which finds views by them); ``fitted_linear_map``, fitted on training pairs, for
    representations of up to 1,024 channels; ``identity``, the source view itself. The floor is the mean feature as the
    prediction; chance a random order.

    sources: views of each object that retrieval starts from, at most; 0 for all.
    views: of each object; 0 for as many as most objects have.
    seed: of the fitted map's pairs.
    """

    sources: int = 5
    views: int = 0
    seed: int = 0

    name: ClassVar[str] = "retrieval"
    order: ClassVar[int] = 4
    revision: ClassVar[int] = 4
    kind: ClassVar[str] = POSES
    metrics: ClassVar[dict[str, bool]] = {"mrr": True, "hit_at_1": True, "hit_at_5": True, "pre": False}
    probe_order: ClassVar[tuple[str, ...]] = ("own", "own, hues too", "fitted_linear_map", "identity")

    @property
    def protocol(self) -> str:
        return "frozen, predicted views"

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.poses.scoring import score_retrieval

        return score_retrieval(self, model, train, test, track)
