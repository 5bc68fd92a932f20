"""Scores of every layer of an encoder: transformations and classes [mental-rotation probing, 2509.15271]."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.classification.task import NearestNeighbours
from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.frozen_model import FrozenModel


@dataclass(frozen=True)
class Layers(Task):
    """The tasks `transformation`, with border ``content``, and `knn`, at every block or stage of the encoder at once.

    A layer is a block of a vision transformer, with its last norm applied, or a stage of another network, as timm's
    ``feature_info`` lists them. Two features of each are evaluated: the mean of the patch tokens, and the class token
    if it has one. Each image passes through the encoder once for all layers. Only pooled features are kept: 4 bytes for
    each channel, layer, kind of token and image. The output, as the encoder is used, is last, at a depth of 100 %. Main
    scores are those of the output and of the best layer. The best layer is chosen on the same test images, so its
    score is slightly optimistic. R2 on noise is measured for these two only. k-NN needs labels; without labels it is
    left out. Random weights are evaluated with one repeat.

    transformations, probes, train, test, seed: as in `transformation`, without the attentive probe, since no tokens
        are kept.
    repeats: number of seeds of the probes at the output.
    layer_repeats: number of seeds of the probes at the layers.
    limit, k, temperature: as in `knn`.
    most: largest number of layers at equal distances; the last is one of them.
    also: layers that are evaluated besides, by number; negative ones count from the last.
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
    also: tuple[int, ...] = ()

    name: ClassVar[str] = "layers"
    order: ClassVar[int] = 5
    revision: ClassVar[int] = TransformationRegression.revision + NearestNeighbours.revision
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = TransformationRegression.metrics | NearestNeighbours.metrics
    unranked: ClassVar[tuple[str, ...]] = TransformationRegression.unranked
    probe_order: ClassVar[tuple[str, ...]] = TransformationRegression.probe_order
    least: ClassVar[dict[str, int]] = TransformationRegression.least
    by_default: ClassVar[bool] = False
    axis: ClassVar[str] = "depth, % of the layers (100: the output)"
    advice: ClassVar[str] = (
        "An earlier layer is a baseline that costs nothing. If its R2 is higher than that of the output, and its k-NN "
        "is good enough for you, use it before you train anything. “--layer N” evaluates any task there."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "attentive" in self.probes:
            raise ValueError(
                "'attentive' reads patch tokens, but only pooled features of layers are kept; leave it out"
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
            every_layer(model, self.most, self.also)
        except ValueError as error:
            return str(error)
        return ""

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.layers.scoring import score_layers

        return score_layers(self, model, train, test, track)
