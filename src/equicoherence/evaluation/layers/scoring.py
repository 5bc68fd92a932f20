"""Scores of layers: those of the transformation task and of k-NN, laid out over the depth of the encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from equicoherence.data import Loader
from equicoherence.evaluation.classification.task import unlabelled
from equicoherence.evaluation.layers.every_layer import OUTPUT, Place, every_layer
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.reader import reader
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.evaluation.transformation.pairs import ImagePairs
from equicoherence.evaluation.transformation.regression import known_rows
from equicoherence.notice import say

if TYPE_CHECKING:
    from equicoherence.evaluation.layers.task import Layers

BEST = "best layer"
OWN = "backbone"  # what a model calls its output


def score_layers(task: Layers, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score layers by the tasks that score an output."""
    layered = every_layer(reader(model), task.most)
    places = {place.name: place for place in layered.places()}
    rows, counts = [], {}
    for name in task.transformations:
        part = dataclasses.replace(task.regression(), transformations=(name,))
        found = part.score(layered, train, test, track)
        rows, counts = [*rows, *found.rows], dict(found.counts)
        known = [row for row in found.rows if places[row.representation].layer == OUTPUT]
        _remember_rows(model, known_rows(dataclasses.replace(part, representations=(OWN,)), train, test), known)
    _remember_pairs(model, layered, next(name for name, place in places.items() if place.layer == OUTPUT))
    layered.memo.clear()
    if missing := unlabelled(train.source, test.source):
        say(f"layers: k-NN is left out, for it {missing}")
    else:
        found = task.neighbours().score(layered, train, test, track)
        rows += found.rows
        counts |= {f"labelled {split}": count for split, count in found.counts.items()}
    whole = [row for row in rows if not row.parameter]  # of a transformation's parameters their mean
    return TaskScore([*_main_rows(whole, places, task.metrics), *_curves(whole, places)], counts=counts)


def _remember_rows(model: FrozenModel, key: tuple[Any, ...], rows: Sequence[Row]) -> None:
    """Let a model remember what its output scores, so that the task of the transformation does not score it again."""
    model.remember(key, lambda: [dataclasses.replace(row, representation=OWN) for row in rows])


def _remember_pairs(model: FrozenModel, layered: FrozenModel, output: str) -> None:
    """Let a model remember the images, and what its output says of them upright, so that no task encodes them again."""
    for key, pairs in list(layered.memo.values()):
        if isinstance(pairs, ImagePairs):
            names = {output: OWN} if model.head is None else {}  # with a head it says more of an image
            model.remember(key, lambda pairs=pairs, names=names: pairs.seen_by(model, names))  # type: ignore[misc]


def _curves(rows: Sequence[Row], places: dict[str, Place]) -> Iterator[Row]:
    """Yield each row as a point over the depth, a curve for each kind of token that is read."""
    for row in rows:
        place = places[row.representation]
        yield dataclasses.replace(row, representation=place.reads, parameter=place.title, at=place.depth)


def _main_rows(rows: Sequence[Row], places: dict[str, Place], metrics: dict[str, bool]) -> Iterator[Row]:
    """Yield the rows of the output and of the best layer for each target; a line says which layer that is.

    The first metric of a target, in the order of ``metrics``, says which is the best.
    """
    targets: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        targets.setdefault((row.target, row.border, row.probe), []).append(row)
    for (target, _, _), of_target in targets.items():
        metric = next(name for name in metrics if any(row.metric == name for row in of_target))
        found: dict[str, list[float]] = {}
        for row in of_target:
            if row.metric == metric:
                found.setdefault(row.representation, []).append(row.value)
        means = {name: sum(values) / len(values) for name, values in found.items()}
        layers = [name for name in means if places[name].layer != OUTPUT]
        best = max(layers, key=lambda name: means[name] if metrics[metric] else -means[name])
        (output,) = (name for name in means if places[name].layer == OUTPUT)
        for name, title in ((output, OUTPUT), (best, BEST)):
            chosen = (row for row in of_target if row.representation == name)
            yield from (dataclasses.replace(row, representation=title) for row in chosen)
        say(f"{target} {metric}".strip() + f": best at {best}, {means[best]:.3f}; at the output {means[output]:.3f}")
