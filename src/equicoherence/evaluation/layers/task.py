"""Every layer of an encoder: what it tells of a transformation and of classes [mental-rotation probing, 2509.15271]."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.classification.task import NearestNeighbours
from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.model import FrozenModel


@dataclass(frozen=True)
class Layers(Task):
    """The tasks `transformation`, with border ``content``, and `knn`, at every block or stage of the encoder at once.

    A layer is a block of a vision transformer, whose last norm is applied to it, or a stage of another network, as
    timm's ``feature_info`` lists them. Of each the mean of the patch tokens is read, and the class token where it has
    one; each image passes through the encoder once for all layers, and pooled features alone are kept: 4 bytes a
    channel, layer, kind of token and image. The output is what the encoder is used by: it stands last, at a depth of
    100 %. Main figures are those of the output and of the best layer, which is chosen by the very images it is scored
    on and so flattered a little; what the probe reads of noise is said of these two alone. k-NN needs labels, and is
    left out where there are none. Random weights are scored with one repeat.

    transformations, probes, train, test, seed: as of `transformation`; but for the attentive probe, for no tokens are
        kept.
    repeats: seeds of the probes at the output.
    layer_repeats: seeds of the probes at the layers.
    limit, k, temperature: as of `knn`.
    most: how many layers at most are scored, at equal distances, the last among them.
    """

    transformations: tuple[str, ...] = ("rotation",)
    probes: tuple[str, ...] = ("mlp",)
    train: int = 3000
    test: int = 1000
    repeats: int = 1
    layer_repeats: int = 1
    seed: int = 0
    limit: int = 5000
    k: int = 20
    temperature: float = 0.07
    most: int = 100

    name: ClassVar[str] = "layers"
    order: ClassVar[int] = 5
    revision: ClassVar[int] = TransformationRegression.revision + NearestNeighbours.revision
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = TransformationRegression.metrics | NearestNeighbours.metrics
    probe_order: ClassVar[tuple[str, ...]] = TransformationRegression.probe_order
    least: ClassVar[dict[str, int]] = TransformationRegression.least
    by_default: ClassVar[bool] = False
    axis: ClassVar[str] = "depth, % of the layers (100: the output)"
    advice: ClassVar[str] = (
        "An earlier layer is a rival that costs nothing: where it tells more of the transformation than the output, at "
        "a k-NN you can live with, use it before you train anything. “--layer N” scores any task there."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "attentive" in self.probes:
            raise ValueError(
                "'attentive' reads patch tokens, but of layers pooled features alone are kept; leave it out"
            )
        self.regression()  # ValueError for what it does not allow

    @property
    def protocol(self) -> str:
        return "frozen, every layer"

    def of_control(self) -> Task:
        return dataclasses.replace(self, repeats=1, layer_repeats=1)

    def regression(self) -> TransformationRegression:
        """Return the transformation task that the output is scored by, and layers with repeats of their own."""
        return TransformationRegression(
            transformations=self.transformations,
            borders=("content",),
            probes=self.probes,
            train=self.train,
            test=self.test,
            repeats=self.repeats,
            seed=self.seed,
        )

    def neighbours(self) -> NearestNeighbours:
        """Return the k-NN task that layers are scored by."""
        return NearestNeighbours(self.limit, self.k, self.temperature)

    def obstacle(self, train: ImageSource, test: ImageSource) -> str:
        return self.regression().obstacle(train, test)

    def unfit(self, model: FrozenModel) -> str:
        from equicoherence.evaluation.layers.every_layer import every_layer

        try:
            every_layer(model)
        except ValueError as error:
            return str(error)
        return ""

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.layers.scoring import score_layers

        return score_layers(self, model, train, test, track)
