"""Scores of layers: those of the transformation task and of k-NN, laid out over the depth of the encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from equicoherence.data import Loader
from equicoherence.evaluation.classification.scoring import Labelled
from equicoherence.evaluation.classification.task import unlabelled
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.layers import BEST, OUTPUT
from equicoherence.evaluation.layers.every_layer import OWN, EveryLayer, LayerReading, every_layer
from equicoherence.evaluation.reader import reader
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.evaluation.transformation.pairs import ImagePairs
from equicoherence.evaluation.transformation.regression import image_rows, known_rows, noise_rows, pairs_of
from equicoherence.notice import say

if TYPE_CHECKING:
    from equicoherence.evaluation.layers.task import Layers


def score_layers(task: Layers, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
    """Score layers by the tasks that score an output."""
    layered = every_layer(reader(model), task.most, task.also)
    readings = {reading.name: reading for reading in layered.readings()}
    *layers, output = readings
    regression = task.regression()
    pairs = pairs_of(regression, layered, train, test)
    repeats = {**dict.fromkeys(layers, task.layer_repeats), output: task.repeats}
    shown, noise = [], []
    for name in task.transformations:
        found = list(image_rows(regression, pairs, name, track, repeats))
        best = {best for _, metric, _, best in _best_layers(_whole(found), readings, task.metrics) if metric == "r2"}
        told = {reading: count for reading, count in repeats.items() if reading == output or reading in best}
        of_noise = list(noise_rows(regression, pairs, name, track, told))
        part = dataclasses.replace(regression, transformations=(name,), representations=(OWN,))
        known = [row for row in (*found, *of_noise) if row.representation == output]
        _remember_rows(model, known_rows(part, train, test), known)
        shown, noise = [*shown, *found], [*noise, *of_noise]
    counts = pairs.counts()
    _remember_read(model, layered)
    if missing := unlabelled(train.source, test.source):
        say(f"layers: k-NN is left out, for it {missing}")
    else:
        classified = task.neighbours().score(layered, train, test, track)
        shown += [row for row in classified.rows if row.representation in readings]
        counts |= {f"labelled {split}": count for split, count in classified.counts.items()}
        _remember_read(model, layered)
    whole = _whole(shown)
    main = _main_rows([*whole, *_whole(noise)], readings, task.metrics)
    return TaskScore([*main, *_curves(whole, readings)], counts=counts)


def _whole(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of whole targets: of a transformation's parameters their mean."""
    return [row for row in rows if not row.parameter]


def _remember_rows(model: FrozenModel, key: tuple[Any, ...], rows: Sequence[Row]) -> None:
    """Let a model remember what its output scores, so that the task of the transformation does not score it again."""
    model.remember(key, lambda: [dataclasses.replace(row, representation=OWN) for row in rows])


def _remember_read(model: FrozenModel, layered: EveryLayer) -> None:
    """Let a model remember what was read of images, and what it says itself of those upright, so that no task encodes
    them again; the layers are forgotten."""
    for key, read in list(layered.memo.values()):
        if isinstance(read, ImagePairs):
            model.remember(key, lambda read=read: read.seen_by(model, layered.own))  # type: ignore[misc]
        elif isinstance(read, Labelled):
            model.remember(key, lambda read=read: Labelled(layered.own(read.features), read.labels))  # type: ignore[misc]
    layered.memo.clear()


def _curves(rows: Sequence[Row], readings: dict[str, LayerReading]) -> Iterator[Row]:
    """Yield each row as a point over the depth, a curve for each kind of token that is read."""
    for row in rows:
        reading = readings[row.representation]
        yield dataclasses.replace(row, representation=reading.reads, parameter=reading.title, at=reading.depth)


def _main_rows(rows: Sequence[Row], readings: dict[str, LayerReading], metrics: dict[str, bool]) -> Iterator[Row]:
    """Yield the rows of the output and of the best layer for each target; a line says which layer that is."""
    for of_target, metric, means, best in _best_layers(rows, readings, metrics):
        (output,) = (name for name in means if readings[name].layer == OUTPUT)
        for name, title in ((output, OUTPUT), (best, BEST)):
            chosen = (row for row in of_target if row.representation == name)
            yield from (dataclasses.replace(row, representation=title) for row in chosen)
        target = of_target[0].target
        say(f"{target} {metric}".strip() + f": best at {best}, {means[best]:.3f}; at the output {means[output]:.3f}")


def _best_layers(
    rows: Sequence[Row], readings: dict[str, LayerReading], metrics: dict[str, bool]
) -> Iterator[tuple[list[Row], str, dict[str, float], str]]:
    """Yield for each target its rows, the metric that says which layer is the best, by it each one's mean, and the best
    layer: the metric is the first that the target has, in the order of ``metrics``."""
    targets: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        targets.setdefault((row.target, row.border, row.probe), []).append(row)
    for of_target in targets.values():
        metric = next(name for name in metrics if any(row.metric == name for row in of_target))
        found: dict[str, list[float]] = {}
        for row in of_target:
            if row.metric == metric:
                found.setdefault(row.representation, []).append(row.value)
        means = {name: sum(values) / len(values) for name, values in found.items()}
        layers = [name for name in means if readings[name].layer != OUTPUT]
        yield of_target, metric, means, max(layers, key=lambda name: means[name] if metrics[metric] else -means[name])
