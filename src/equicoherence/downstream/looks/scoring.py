"""How features look: principal components of patch tokens as colours, and the nearest neighbours of some images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.palette import GAP, side_by_side
from equicoherence.downstream.tokens import (
    BATCH,
    input_size,
    read_ahead,
    resize_image,
    sized,
    stride,
    to_pixels,
)
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.finite import check_features
from equicoherence.sets.kinds import SampleSet

if TYPE_CHECKING:
    from equicoherence.downstream.looks.task import Looks

PANEL = 120  # pixels, the height of an image above its components
THUMBNAIL = 76  # pixels, the side of a neighbour
READ = ("backbone", "z_inv", "z_equi")
TAIL = 0.01  # share of the tokens at either end that have the darkest and the brightest colour


def score_looks(task: Looks, model: FrozenModel, train: SampleSet | None, test: SampleSet, track: Track) -> TaskScore:
    searched = spread(len(test), task.among)
    if len(searched) <= task.neighbours:
        raise UnusableData(f"{task.neighbours} neighbours need more images than that, but there are {len(searched)}")
    stride(model.encoder, model.size)  # ValueError for an encoder without patch tokens, before anything is read
    features, images = _pooled(model, test, searched, track)
    check_features(features, model.name)
    pictures = _components(task, model, test)
    rows, queries = [], spread(len(searched), task.queries)
    folders = [PurePosixPath(test.name(index)).parent for index in searched]
    for name, vectors in features.items():
        order = nearest(vectors, task.neighbours)
        lines = [side_by_side([images[i] for i in (query, *order[query].tolist())]) for query in queries]
        pictures[f"nearest neighbours of the first column, {name}"] = Picture(_stacked(lines))
        share, floor = same_folder(order, folders)
        if floor > 0 and len(set(folders)) > 1:
            rows.append(Row("same_folder", share, parameter="" if name == "backbone" else name, floor=floor))
    return TaskScore(rows, pictures, {"shown": min(task.shown, len(test)), "val": len(searched)})


@torch.no_grad()
def _components(task: Looks, model: FrozenModel, test: SampleSet) -> dict[str, Picture]:
    """Return for each representation a picture of the components of images, which are given."""
    images = [test.image(index) for index in spread(len(test), task.shown)]
    size = input_size([image.shape[:2] for image in images], task.pixels, stride(model.encoder, model.size))
    encoder = sized(model.encoder, size).eval()
    panel = (PANEL, max(1, round(PANEL * size[1] / size[0])))
    above = side_by_side([resize_image(image, panel) for image in images])
    features = encoder(to_pixels([resize_image(image, size) for image in images], encoder.mean.device))
    tokens = model.represent_features(features)[1]
    pictures = {}
    for name in (name for name in READ if name in tokens):
        grid = features.tapped_grid if name == "z_equi" else features.grid
        colours = principal_colours(tokens[name].flatten(0, 1)).view(len(images), *grid, 3)
        maps = F.interpolate(colours.permute(0, 3, 1, 2), panel, mode="nearest").permute(0, 2, 3, 1)
        below = side_by_side(list((255 * maps).round().byte().numpy()))
        pictures[f"PCA of patch features, {name}"] = Picture(below, {"images": above})
    return pictures


def principal_colours(tokens: Tensor) -> Tensor:
    """Return the first three principal components of tokens (M, C) as red, green and blue (M, 3) in [0, 1], on the CPU.

    The largest loading of each is positive, which makes signs definite. Each is stretched over 0 to 1 but for a
    hundredth of the tokens at either end; one that hardly varies beside the others is 0.5 throughout.
    """
    centred = tokens.detach().cpu().double()
    centred = centred - centred.mean(dim=0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -3:].flip(1)  # the strongest first
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    along = F.pad(centred @ axes, (0, 3 - axes.shape[1]))
    low, high = torch.quantile(along, torch.tensor([TAIL, 1 - TAIL], dtype=along.dtype), dim=0)
    varies = high - low > 1e-5 * (high - low).max()
    stretched = ((along - low) / torch.where(varies, high - low, 1)).clamp(0, 1)
    return torch.where(varies, stretched, 0.5).float()


def nearest(vectors: Tensor, count: int) -> Tensor:
    """Return for each of vectors (N, C) the numbers (N, count) of the others nearest by cosine, the nearest first."""
    unit = F.normalize(vectors.float(), dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf).topk(count, dim=1).indices


def same_folder(order: Tensor, folders: Sequence[object]) -> tuple[float, float]:
    """Return the share of neighbours ``order`` (N, count) that are in the folder of their query, and that of neighbours
    drawn at random. folders: of all N."""
    known = {folder: number for number, folder in enumerate(dict.fromkeys(folders))}
    numbers = torch.tensor([known[folder] for folder in folders])
    share = (numbers[order.cpu()] == numbers[:, None]).float().mean()
    others = numbers.bincount()[numbers] - 1
    return float(share), float(others.float().mean() / (len(numbers) - 1))


@torch.no_grad()
def _pooled(
    model: FrozenModel, test: SampleSet, searched: Sequence[int], track: Track
) -> tuple[dict[str, Tensor], list[np.ndarray]]:
    """Return the pooled features (N, C) of images by representation, and the images as thumbnails."""
    sides = (model.size, THUMBNAIL)

    def load(index: int) -> list[np.ndarray]:
        image = test.image(index)
        return [resize_image(image, (side, side)) for side in sides]

    samples = read_ahead(load, searched)
    parts: dict[str, list[Tensor]] = {}
    images: list[np.ndarray] = []
    for start in track(range(0, len(searched), BATCH), "looks: images among which neighbours are looked for"):
        batch, small = zip(*(next(samples) for _ in searched[start : start + BATCH]))
        pooled = model.represent(to_pixels(batch, model.encoder.mean.device))[0]
        for name in (name for name in READ if name in pooled):
            parts.setdefault(name, []).append(pooled[name])
        images += small
    return {name: torch.cat(of_name) for name, of_name in parts.items()}, images


def _stacked(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Return images (H, W, 3) uint8 of one width below each other."""
    gap = np.full((GAP, lines[0].shape[1], 3), 255, dtype=np.uint8)
    return np.concatenate([part for line in lines for part in (line, gap)][:-1])
