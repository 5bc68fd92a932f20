"""Transformation regression: what do frozen features of I and g(I) tell of g? [P2, table 1; our protocol]"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation import NOISE

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.model import FrozenModel

Border = Literal["content", "reflection", "zeros"]


@dataclass(frozen=True)
class TransformationRegression(Task):
    """A probe regresses the parameters of g from the features of an image I and of g(I), from a frozen encoder.

    Base images are upright central crops so small that a path with border ``content`` shows nothing but the photograph
    itself, so no corner betrays the angle; ``zeros`` has black corners and does. Both images hold the same round band
    of frequencies, so no trace of a pixel grid does either: of turns, shifts and scales a row says what the same probe
    reads of noise without content, which must be within .02 of 0 (docs/traces.md). One R2 for each parameter, and
    their mean, the main figure. A parameter whose sign a mirror turns (an angle, a shift, a tilt) has two figures more:
    the R2 of its absolute value, and its side, the accuracy of left against right (chance .5) where it is large: an
    encoder that is blind to the mirror keeps the first of these alone (docs/transformation.md). Every training image is
    seen under two draws of g. The attentive probe reads tokens averaged to at most 7 x 7. Random weights are scored
    with one repeat, at the backbone.

    transformations: what to score, each apart from the others: names of paths, sums with ``+`` in a file or in Python.
    borders: what lies beyond the image.
    probes: of linear (a ridge regression), mlp, attentive.
    train, test: images of the probes, at least 2.
    repeats: seeds of the probes.
    seed: of the draws and the probes.
    representations: which to score; empty for all that the model has.
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
    probe_order: ClassVar[tuple[str, ...]] = ("mlp", "linear", "attentive")
    least: ClassVar[dict[str, int]] = {"train": 2, "test": 2}

    def __post_init__(self) -> None:
        super().__post_init__()
        for given, known in ((self.borders, get_args(Border)), (self.probes, self.probe_order)):
            for name in given:
                if name not in known:
                    raise ValueError(f"{name!r} is unknown; choose among {', '.join(known)}")
            if not given:
                raise ValueError(f"nothing is asked for; choose among {', '.join(known)}")
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
