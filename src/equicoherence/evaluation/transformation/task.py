"""Transformation regression: predict the parameters of g from frozen features of I and g(I) [P2, table 1; our
protocol].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation import NOISE

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.frozen_model import FrozenModel

Border = Literal["content", "reflection", "zeros"]


@dataclass(frozen=True)
class TransformationRegression(Task):
    """A probe predicts the parameters of g from the frozen features of an image I and of g(I).

    Base images are upright central crops, small enough that with border ``content`` a path shows only the photograph
    itself, so no corner reveals the angle; ``zeros`` has black corners, which do. Both images have the same round band
    of frequencies, so the pixel grid leaves no trace either, except that sharpness reveals a part of the scale. For
    rotation, translation and scale there is a control: R2 of the same probe on noise without content, which must be
    within .02 of 0 (docs/traces.md). There is one R2 for each parameter; their mean is the main score. A parameter
    whose sign changes in a mirror (an angle, a shift, a tilt) has two more scores: R2 of its absolute value, and the
    accuracy of its sign (chance .5) for large values. A mirror-blind encoder keeps only the absolute value
    (docs/transformation.md). Every training image is used with two draws of g. The attentive probe reads tokens
    averaged to at most 7 x 7. Random weights are evaluated with one repeat, at the backbone.

    transformations: names of paths, each evaluated separately; sums with ``+`` in a file or in Python.
    borders: what an image shows beyond the edge of its source.
    probes: of linear (a ridge regression), mlp, attentive.
    train, test: number of images of the probes, at least 2.
    repeats: number of seeds of the probes.
    seed: of the random transformations and the probes.
    representations: which to evaluate; empty for all of the model.
    """

    transformations: tuple[str, ...] = ("rotation", "translation", "scale", "color", "blur", "se2", "all")
    borders: tuple[Border, ...] = ("content", "zeros")
    probes: tuple[str, ...] = ("linear", "mlp", "attentive")
    train: int = 3000
    test: int = 1000
    repeats: int = 1
    seed: int = 0
    representations: tuple[str, ...] = ()

    name: ClassVar[str] = "transformation"
    order: ClassVar[int] = 0
    revision: ClassVar[int] = 7
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = {"r2": True, "accuracy": True, NOISE: False}
    unranked: ClassVar[tuple[str, ...]] = (NOISE,)  # it should be near 0: a value on either side is an error
    probe_order: ClassVar[tuple[str, ...]] = ("mlp", "linear", "attentive")
    least: ClassVar[dict[str, int]] = {"train": 2, "test": 2}

    def __post_init__(self) -> None:
        super().__post_init__()
        for given, known in ((self.borders, get_args(Border)), (self.probes, self.probe_order)):
            for name in given:
                if name not in known:
                    raise ValueError(f"{name!r} is unknown; choose among {', '.join(known)}")
            if not given:
                raise ValueError(f"the list is empty; choose among {', '.join(known)}")
        unusual = set(self.transformations) - set(type(self).transformations)
        if unusual or not self.transformations:
            from equicoherence.paths import named_path

            for name in self.transformations or ("",):
                named_path(name)  # ValueError for a name that there is not

    @property
    def protocol(self) -> str:
        return "frozen, probes of pairs"

    @property
    def variant(self) -> str:
        return ", ".join(self.transformations)

    def parts(self) -> Sequence[Task]:
        return [dataclasses.replace(self, transformations=(name,)) for name in self.transformations]

    def of_control(self) -> Task:
        return dataclasses.replace(self, representations=("backbone",), repeats=1)

    def obstacle(self, train: ImageSource, test: ImageSource) -> str:
        for split, source in (("train", train), ("val", test)):
            if len(source) < 2:
                return f"needs at least 2 images in split {split}, which has {len(source)}"
        colored = [name for name in self.transformations if {"color", "all"} & set(name.split("+"))]
        if train.format.channels < 3 and colored:
            others = ",".join(name for name in self.transformations if name not in colored) or "rotation"
            return f"{', '.join(colored)} needs images of three channels; give --transformations {others}"
        return ""

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.transformation.regression import score_transformations

        return score_transformations(self, model, train, test, track)
