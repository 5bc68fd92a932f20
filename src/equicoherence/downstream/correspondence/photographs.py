"""Correspondence between two views of a photograph whose homography is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from equicoherence.downstream.correspondence.matches import TruePlaces, count_matches, match_rows
from equicoherence.downstream.correspondence.pictures import draw_matches
from equicoherence.downstream.homography.pairs import draw_patch_pairs, in_order, to_bytes, turns
from equicoherence.downstream.homography.plane_maps import (
    SQUARE,
    apply_homography,
    cell_middles,
    find_homography,
)
from equicoherence.downstream.homography.scoring import SHORT
from equicoherence.downstream.tokens import check_finite, input_size, sized, some_shapes, stride
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import TaskScore, Track
from equicoherence.sets.kinds import SampleSet

if TYPE_CHECKING:
    from equicoherence.downstream.correspondence.task import HomographyCorrespondence

BATCH = 32  # pairs
PICTURES = 6
TENTHS = 4  # corners move by a quarter along x and y, so by .354 at most


def score_homography_correspondence(
    task: HomographyCorrespondence, model: FrozenModel, test: SampleSet, track: Track
) -> TaskScore:
    patch = task.tokens * stride(model.encoder, model.size)
    size = input_size(some_shapes(test.image, range(len(test))), round(SHORT * patch), 1)
    encoder = sized(model.encoder, (patch, patch)).eval()
    device, order = encoder.mean.device, turns(test, task.pairs)
    generator = torch.Generator().manual_seed(task.seed)
    pairs = draw_patch_pairs(in_order(test, size, order), size, patch, generator, BATCH, device)
    grid = (task.tokens, task.tokens)
    counts: list[Tensor] = []
    bins: list[Tensor] = []
    pictures: dict[str, Picture] = {}
    for number in track(range(-(-task.pairs // BATCH)), f"{task.name}: pairs"):
        pair = next(pairs)
        with torch.no_grad(), reading(device):
            features = encoder(torch.cat([pair.first, pair.second]))
        check_finite(features.patches.isfinite().all(), encoder)
        grid = features.grid
        first, second = features.patches.chunk(2)
        found, matches = count_matches(first, second, places_of(pair.displacements, grid), grid[1], task.within)
        counts.append(found.cpu())
        bins.append((10 * pair.displacements.norm(dim=-1).mean(dim=1)).long().clamp(max=TENTHS - 1).cpu())
        for row in range(max(0, min(len(first), PICTURES - BATCH * number))):
            shown = to_bytes(pair.first[row]), to_bytes(pair.second[row])
            pictures[f"{test.name(order[row])}, pair {row}"] = draw_matches(*shown, matches, row, grid)
    names = [f"corners moved by .{tenth} to .{tenth + 1}" for tenth in range(TENTHS)]
    rows = match_rows(torch.cat(counts), torch.cat(bins), names, mirrors=False, tokens=grid[0] * grid[1])
    return TaskScore(rows, pictures, {"val": min(len(test), task.pairs)}, (patch, patch))


def places_of(displacements: Tensor, grid: tuple[int, int]) -> TruePlaces:
    """Return where the second square shows the tokens of the first one, of corners moved by (B, 4, 2), in sides."""
    square = torch.tensor(SQUARE, device=displacements.device).expand(len(displacements), 4, 2)
    middles = cell_middles(*grid, displacements.device).view(1, -1, 2).expand(len(displacements), -1, -1)
    back = find_homography(square + displacements, square)
    shares = apply_homography(back, middles)
    inside = ((shares >= 0) & (shares < 1)).all(dim=-1)
    every, none = torch.ones_like(inside), torch.zeros_like(inside)
    places = (shares * shares.new_tensor([grid[1], grid[0]])).float()
    return TruePlaces(every, every, places, inside, places, none)
