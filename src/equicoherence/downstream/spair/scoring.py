"""SPair: points on a thing found again on another of its category, by the likeness of patch tokens; PCK@.10."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.devices import float64
from equicoherence.downstream.line_pictures import RIGHT, WRONG, show_lines
from equicoherence.downstream.spair.points import features_at, nearest_pixels
from equicoherence.downstream.tokens import extract_tokens, input_size, sized, stride
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.sets.kinds import PointPair, PointPairSet

if TYPE_CHECKING:
    from equicoherence.downstream.spair.task import SemanticCorrespondence

ALPHA = 0.1
PICTURES = 6


def score_spair(task: SemanticCorrespondence, model: FrozenModel, test: PointPairSet, track: Track) -> TaskScore:
    test_pairs = [test.pairs[place] for place in spread(len(test.pairs), task.test)]
    images = sorted({image for pair in test_pairs for image in (pair.source, pair.target)})
    size = input_size([(1, 1)], task.pixels, stride(model.encoder, model.size))
    encoder = sized(model.encoder, size).eval()
    device = encoder.mean.device
    shapes: dict[int, tuple[int, int]] = {}

    def load(image: int) -> np.ndarray:
        pixels = test.image(image)
        shapes[image] = (pixels.shape[0], pixels.shape[1])
        return pixels

    tokens = extract_tokens(encoder, load, images, size, track, "spair: images")
    places = {image: place for place, image in enumerate(images)}
    kept = [pair for pair in test_pairs if test.readable(pair.source) and test.readable(pair.target)]
    if not kept:
        raise UnusableData("no pair of images of the test split can be read, so there is nothing to measure")
    of_target: dict[int, list[int]] = defaultdict(list)
    for number, pair in enumerate(kept):
        of_target[pair.target].append(number)
    found: dict[int, Tensor] = {}
    for target, numbers in track(list(of_target.items()), "spair: target images"):
        queries = []
        for number in numbers:
            source = kept[number].source
            maps = tokens.take([places[source]], device).patches[0].float()
            queries.append(features_at(maps, torch.from_numpy(kept[number].source_points), shapes[source]))
        maps = tokens.take([places[target]], device).patches[0].float()
        pixels = nearest_pixels(maps, torch.cat(queries), shapes[target]).cpu()
        found |= dict(zip(numbers, pixels.split([len(each) for each in queries])))
    sizes = {image: torch.tensor([shape[1], shape[0]]) for image, shape in shapes.items()}
    right = [points_right(found[number], pair) for number, pair in enumerate(kept)]
    still = [points_right(_same_place(pair, sizes), pair) for pair in kept]
    rows = pck_rows(right, still, [pair.category for pair in kept])
    pictures = {
        f"{test.name(pair.source)} and {test.name(pair.target)}, pair {number}": _picture(
            test, pair, found[number], right[number], sizes
        )
        for number, pair in ((number, kept[number]) for number in spread(len(kept), PICTURES))
    }
    return TaskScore(rows, pictures, {"val": len(images), "pairs": len(kept)}, size)


def points_right(found: Tensor, pair: PointPair) -> Tensor:
    """Return which points (K,) of a pair were found, at pixels (K, 2), within a tenth of the target's longer side."""
    errors = (found - torch.from_numpy(pair.target_points)).norm(dim=1)
    return errors <= ALPHA * pair.length


def pck_rows(right: Sequence[Tensor], still: Sequence[Tensor], categories: Sequence[str]) -> list[Row]:
    """Return PCK per image and per point, of all pairs and of those of each category.

    right, still: (K,) bool of each pair, points that are right, and those that would be at the same place.
    """
    groups = {"": range(len(right))} | {
        name: [i for i, category in enumerate(categories) if category == name] for name in sorted(set(categories))
    }

    def per_image(points: Sequence[Tensor], chosen: Sequence[int]) -> float:
        return float(torch.stack([float64(points[i]).mean() for i in chosen]).mean())

    def per_point(points: Sequence[Tensor], chosen: Sequence[int]) -> float:
        return float(float64(torch.cat([points[i] for i in chosen])).mean())

    return [
        Row(metric, pck(right, chosen), parameter=name, floor=pck(still, chosen))
        for metric, pck in (("pck@0.1_image", per_image), ("pck@0.1_point", per_point))
        for name, chosen in groups.items()
    ]


def _same_place(pair: PointPair, sizes: dict[int, Tensor]) -> Tensor:
    """Return the pixels (K, 2) of the target at the places, in shares of the sides, of the source's points."""
    shares = (torch.from_numpy(pair.source_points) + 0.5) / sizes[pair.source]
    return shares * sizes[pair.target] - 0.5


def _picture(test: PointPairSet, pair: PointPair, found: Tensor, right: Tensor, sizes: dict[int, Tensor]) -> Picture:
    starts = ((torch.from_numpy(pair.source_points) + 0.5) / sizes[pair.source]).tolist()
    ends = ((found + 0.5) / sizes[pair.target]).tolist()
    lines = [(start, end, RIGHT if good else WRONG) for start, end, good in zip(starts, ends, right.tolist())]
    return show_lines(test.image(pair.source), test.image(pair.target), lines)
