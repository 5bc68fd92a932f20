"""The rows of an adaptation's table: each figure before, at the best layer, and after, with a verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from equicoherence.evaluation.layers import BEST, OUTPUT
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.suites import ADAPT, Figure
from equicoherence.evaluation.transformation import NOISE, transformation_of
from equicoherence.reporting.names import data_name
from equicoherence.reporting.noise_limit import UNTRUSTED, is_noisy, noisy_transformations
from equicoherence.reporting.summary import Score, joint_floors, select, summarise_scores
from equicoherence.reporting.tables import PERCENT

Verdict = Literal["gained", "kept", "lost", ""]
POINT = 0.01  # of an accuracy: a change within it is none
R2_POINT = 0.02  # of R2 and of the accuracy of a sign, which two seeds of a probe differ by
CLASSES = {"knn": "k-NN", "linear": "linear"}
BACKBONE, Z_EQUI, JOINED = READ = ("backbone", "z_equi", "joined")  # what is read of an adapted encoder
Scores = Mapping[str, Any]
"""The content of a ``scores.json``."""


@dataclass(frozen=True)
class FigureRow:
    """One score.

    title, metric: its name.
    original: that of the encoder before.
    layer: that of its best layer; layer_name: which layer.
    adapted: those of the encoder after, by representation (`READ`).
    output: the main one of these representations.
    noisy: whether R2 on noise of its transformation is not near 0, before or after.
    """

    title: str
    metric: str
    original: Score | None
    layer: Score | None
    layer_name: str
    adapted: Mapping[str, Score]
    output: str
    noisy: bool = False

    @property
    def change(self) -> float | None:
        """What the adapted encoder has more than the original."""
        after = self.adapted.get(self.output)
        return None if after is None or self.original is None else after.mean - self.original.mean

    @property
    def floor(self) -> float | None:
        """The score of a constant guess, None if it has no meaning here."""
        floors = joint_floors(score for score in (self.original, *self.adapted.values()) if score is not None)
        return None if floors is None else floors[1]

    @property
    def margin(self) -> float:
        """The change that counts as none."""
        return POINT if self.of_classes else R2_POINT

    @property
    def verdict(self) -> Verdict:
        """Whether the score was gained, kept or lost; "" if it was not measured both before and after.

        R2 below 0 counts as 0: the probe is no better than a constant.
        """
        after = self.adapted.get(self.output)
        if after is None or self.original is None:
            return ""
        change = max(after.mean, 0) - max(self.original.mean, 0)
        return "kept" if abs(change) <= self.margin else "gained" if change > 0 else "lost"

    @property
    def unsure(self) -> bool:
        """Whether other test images could change the verdict: one of the two is within the interval of the other.

        An interval without width, of a probe with a constant prediction, is ignored.
        """
        after, before = self.adapted.get(self.output), self.original
        if self.verdict not in ("gained", "lost") or after is None or before is None:
            return False
        ends = ((before.interval, after.mean), (after.interval, before.mean))
        return any(interval is not None and interval[0] <= mean <= interval[1] for interval, mean in ends)

    @property
    def said(self) -> str:
        """The verdict as tables write it."""
        if self.noisy and self.verdict:
            return UNTRUSTED
        return self.verdict + ("?" if self.unsure else "")

    @property
    def of_classes(self) -> bool:
        """Whether it is a share of classes that are right."""
        return self.metric in PERCENT

    @property
    def behind_layer(self) -> bool:
        """Whether the best layer of the original has more than the adapted encoder, beyond the margin."""
        after = self.adapted.get(self.output)
        return bool(after and self.layer and self.layer.mean - after.mean > self.margin)


@dataclass(frozen=True)
class NoiseRow:
    """R2 on images without content, of one target.

    title, original, layer, adapted, output: as of a `FigureRow`.
    """

    title: str
    original: Score | None
    layer: Score | None
    adapted: Mapping[str, Score]
    output: str

    @property
    def scores(self) -> list[Score]:
        """All that are known."""
        return [score for score in (self.original, self.layer, *self.adapted.values()) if score is not None]

    @property
    def compared(self) -> list[Score]:
        """Those that a verdict compares, as far as they are known: before, and after."""
        return [score for score in (self.original, self.adapted.get(self.output)) if score is not None]

    @property
    def near_zero(self) -> bool:
        """Whether it is near 0 before and after, so that what is said of this target can be trusted."""
        return not any(map(is_noisy, self.compared))


def figure_rows(before: Scores, after: Scores, output: str, *, check: bool = False) -> Iterator[FigureRow]:
    """Yield the rows of one data set: the scores that at least one of the two has.

    before, after: of the original and of the adapted encoder.
    output: which of `READ` is the main representation of the adapted one.
    check: whether the images differ from the training images.
    """
    own, others = (summarise_scores({name: [each]}) for name, each in (("before", before), ("after", after)))
    noisy = noisy_transformations(score for row in noise_rows(before, after, output) for score in row.compared)
    for figure in ADAPT.figures:
        if figure.metric == NOISE:
            continue
        original = _original(own, figure)
        adapted = _adapted(others, figure)
        if original is None and not adapted:
            continue
        layer = None if figure.task == "linear" else _of(own, figure, BEST, task=Layers.name)
        name = "" if layer is None else _layer_name(own, figure)
        one = original or next(iter(adapted.values()))
        title = _title(figure, data_name(one.data) + (" (check)" if check else ""))
        yield FigureRow(
            title, figure.metric, original, layer, name, adapted, output, transformation_of(one.target) in noisy
        )


def noise_rows(before: Scores, after: Scores, output: str) -> Iterator[NoiseRow]:
    """Yield the rows of images without content: those that at least one of the two has."""
    own, others = (summarise_scores({"": [scores]}) for scores in (before, after))
    for figure in ADAPT.figures:
        if figure.metric != NOISE:
            continue
        original, adapted = _original(own, figure), _adapted(others, figure)
        if original is not None or adapted:
            yield NoiseRow(figure.title, original, _of(own, figure, BEST, task=Layers.name), adapted, output)


def _title(figure: Figure, data: str) -> str:
    if figure.task in CLASSES:
        return f"{CLASSES[figure.task]}, {data}"
    return figure.title


def _original(scores: Sequence[Score], figure: Figure) -> Score | None:
    """Return a figure of the original's output, which the task over its layers has read with them."""
    return _of(scores, figure, BACKBONE) or _of(scores, figure, OUTPUT, task=Layers.name)


def _adapted(scores: Sequence[Score], figure: Figure) -> dict[str, Score]:
    """Return a figure of the adapted encoder, by representation."""
    return {name: score for name in READ if (score := _of(scores, figure, name)) is not None}


def _of(scores: Sequence[Score], figure: Figure, representation: str, task: str = "") -> Score | None:
    """Return the score of a figure, None if there is none."""
    place = {"target": figure.target, "metric": figure.metric, "parameter": "", "control": ""}
    found = select(scores, task=task or figure.task, representation=representation, **place)
    return found[0] if found else None


def _layer_name(scores: Sequence[Score], figure: Figure) -> str:
    """Return which layer is the best: "layer 2", with what is read of it where that is not the mean of the tokens."""
    places = select(scores, task=Layers.name, target=figure.target, metric=figure.metric, control="")
    layers = [score for score in places if score.parameter.startswith("layer ")]
    best = max(layers, key=lambda score: score.mean, default=None)
    if best is None:
        return ""
    return best.parameter + (", class token" if best.representation == "class token" else "")
