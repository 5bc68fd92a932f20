"""Correspondence between renders of one object, over the angle between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.correspondence.matches import Matches, TruePlaces, count_matches, match_rows
from equicoherence.downstream.correspondence.pictures import draw_curve, draw_matches
from equicoherence.downstream.correspondence.poses import SeenPlaces, seen_places, turn_between
from equicoherence.downstream.tokens import extract_tokens, read_ahead, sized, stride
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import TaskScore, Track, spread
from equicoherence.sets.kinds import PosedViewSet

if TYPE_CHECKING:
    from equicoherence.downstream.correspondence.task import Correspondence

BATCH = 64  # pairs
PICTURES = 6
LARGEST_ANGLE = 180


def score_correspondence(task: Correspondence, model: FrozenModel, test: PosedViewSet, track: Track) -> TaskScore:
    drawn = draw_view_pairs(test, task.step, task.pairs)
    if not drawn:
        raise UnusableData("no object of the test split has two views, so there is nothing to match")
    views = sorted({view for pair in drawn for view in pair[:2]})
    side = task.tokens * stride(model.encoder, model.size)
    size = (side, side)
    encoder = sized(model.encoder, size).eval()
    tokens = extract_tokens(encoder, test.image, views, size, track, "correspondence: views")
    places = {view: place for place, view in enumerate(views)}
    grid = (tokens.patches.shape[1], tokens.patches.shape[2])
    kept = [pair for pair in drawn if test.readable(pair[0]) and test.readable(pair[1])]
    seen = read_ahead(lambda number: _seen(test, kept[number], grid), range(len(kept)))
    shown = set(spread(len(kept), PICTURES))
    counts: list[Tensor] = []
    pictures: dict[str, Picture] = {}
    device = encoder.mean.device
    starts = [list(range(start, min(start + BATCH, len(kept)))) for start in range(0, len(kept), BATCH)]
    for batch in track(starts, "correspondence: pairs"):
        truth = _stacked([next(seen) for _ in batch], grid)
        first, second = (
            tokens.take([places[kept[number][end]] for number in batch], device).patches.flatten(1, 2) for end in (0, 1)
        )
        found, matches = count_matches(first, second, truth.to(device), grid[1], task.within)
        counts.append(found.cpu())
        for row, number in enumerate(batch):
            if number in shown:
                pictures |= _picture(test, kept[number], matches, row, grid)
    bins = torch.tensor([pair[2] for pair in kept])
    names = [f"{low} to {low + task.step} degrees" for low in range(0, LARGEST_ANGLE, task.step)]
    rows = match_rows(torch.cat(counts), bins, names, mirrors=True, tokens=grid[0] * grid[1])
    middles = {name: task.step * (number + 0.5) for number, name in enumerate(names)}
    pictures = {"over the angle": draw_curve(rows, middles)} | pictures
    return TaskScore(rows, pictures, {"val": len(views), "pairs": len(kept)}, size)


def draw_view_pairs(test: PosedViewSet, step: int, most: int) -> list[tuple[int, int, int]]:
    """Return pairs of views of one object each, and the bin of ``step`` degrees that the angle between them is in.

    Of each bin there are at most ``most``, evenly spread over all there are, object after object.
    """
    pairs: list[list[tuple[int, int, int]]] = [[] for _ in range(-(-LARGEST_ANGLE // step))]
    for number in np.unique(test.numbers):
        views = np.flatnonzero(test.numbers == number)
        first, second = np.triu_indices(len(views), 1)
        angles = turn_between(test.rotations[views[first]], test.rotations[views[second]])
        bins = np.minimum((angles // step).astype(int), len(pairs) - 1)
        for a, b, place in zip(views[first].tolist(), views[second].tolist(), bins.tolist()):
            pairs[place].append((a, b, place))
    return [of_bin[place] for of_bin in pairs for place in spread(len(of_bin), most)]


def _seen(test: PosedViewSet, pair: tuple[int, int, int], grid: tuple[int, int]) -> SeenPlaces:
    first, second, _ = pair
    rotations = test.rotations
    return seen_places(test.surface(first), rotations[first], test.surface(second), rotations[second], grid)


def _stacked(seen: Sequence[SeenPlaces], grid: tuple[int, int]) -> TruePlaces:
    sides = torch.tensor([grid[1], grid[0]])

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(each, name) for each in seen]))

    places, mirrors = ((stack(name) * sides).float() for name in ("places", "mirrors"))
    return TruePlaces(stack("first"), stack("second"), places, stack("true"), mirrors, stack("mirrored"))


def _picture(
    test: PosedViewSet, pair: tuple[int, int, int], matches: Matches, row: int, grid: tuple[int, int]
) -> dict[str, Picture]:
    first, second, _ = pair
    angle = turn_between(test.rotations[first], test.rotations[second])
    title = f"{test.name(first)} and {test.name(second)}, {angle:.0f} degrees"
    return {title: draw_matches(test.image(first), test.image(second), matches, row, grid)}
