"""3DIEBench on any encoder: what its features tell of pose, color and class, and retrieval of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

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

    MRR, H@1, H@5: of the rank of the true view among the object's own views. PRE: of the view that is nearest, ``pre``
    among the object's own views, ``pre_split`` among all views of the test split, as SIE's script has it.

    setting: ``ours`` starts from up to ``sources`` views, each other view is a target. ``sie``, as SIE's scripts: from
    the first view alone, which is one of the targets too (its share of them, 1 of 50, makes MRR larger by about .006:
    .287 for .281 on 200 objects). Beyond it, SIE scores training views as well, and PRE of test views among the views
    of both splits; here test views among themselves alone.
    sources: views of each object that retrieval starts from in ``ours``, at most; 0 for all.
    views: of each object; 0 for as many as most objects have.
    seed: of the fitted map's pairs.
    """

    setting: Literal["ours", "sie"] = "ours"
    sources: int = 5
    views: int = 0
    seed: int = 0

    name: ClassVar[str] = "retrieval"
    order: ClassVar[int] = 4
    revision: ClassVar[int] = 5
    kind: ClassVar[str] = POSES
    metrics: ClassVar[dict[str, bool]] = {
        "mrr": True,
        "hit_at_1": True,
        "hit_at_5": True,
        "pre": False,
        "pre_split": False,
    }
    probe_order: ClassVar[tuple[str, ...]] = ("own", "own, hues too", "fitted_linear_map", "identity")

    @property
    def protocol(self) -> str:
        return f"frozen, predicted views{' as SIE' if self.setting == 'sie' else ''}"

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.poses.scoring import score_retrieval

        return score_retrieval(self, model, train, test, track)
