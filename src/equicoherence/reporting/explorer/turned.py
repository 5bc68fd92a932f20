"""Rotated images and their features: nearest images, and patch tokens as colors.

This needs the weights of the runs and their images.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Batch, ImageSource, Loader, first_of_each
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.paths import State
from equicoherence.paths.central import base_state
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render
from equicoherence.paths.transformations.affine import Rotation
from equicoherence.reporting.explorer.study import NEAREST, READS, Read, TurnedImages
from equicoherence.reporting.names import data_name
from equicoherence.training.samples import as_bytes

QUERIES = 6
BANK = 120  # images among which the nearest are sought
ANGLES = tuple(range(-180, 181, 20))
SHARE = 0.7  # of an image's side that is shown: no corner of it leaves the image in a turn
BATCH = 64
TRIMMED = 0.02  # of the numbers at either end, which have the first and the last color


@torch.no_grad()
def turned(models: Mapping[str, FrozenModel], source: ImageSource, data: str, tolerance: float) -> TurnedImages:
    """Return the features of rotated images, for models of one input size, computed on the device of each.

    models: by name.
    source: the held-out images.
    data: the name of their data set, or its path.
    tolerance: largest share of the images that cannot be decoded.

    Raises ValueError or OSError where the images cannot be read, ValueError where there is one alone.
    """
    first = next(iter(models.values()))
    batch = _some_images(source, first, tolerance)
    if len(batch.images) < 2:
        raise ValueError(f"{data!r} has 1 held-out image, and there is no other to compare it with; give more images")
    queries = torch.linspace(0, len(batch.images) - 1, min(QUERIES, len(batch.images) // 2)).long()
    others = torch.ones(len(batch.images), dtype=torch.bool)
    others[queries] = False
    shown = torch.stack([_at(batch, queries, float(angle), first.size) for angle in ANGLES], dim=1)
    bank = _at(batch, others.nonzero()[:, 0], 0.0, first.size)
    labels = [source.classes[int(label)] if label >= 0 else "" for label in batch.labels.tolist()]
    return TurnedImages(
        f"held-out images of {data_name(data)}",
        batch.index.tolist(),
        ANGLES,
        as_bytes(shown),
        as_bytes(bank),
        [labels[i] for i in queries.tolist()],
        [label for label, other in zip(labels, others.tolist()) if other],
        {name: _reads(model, shown, bank) for name, model in models.items()},
    )


def _some_images(source: ImageSource, model: FrozenModel, tolerance: float) -> Batch:
    """Return images from all over the source, which may lie by class."""
    indices = np.unique(np.linspace(0, len(source) - 1, QUERIES + BANK).astype(np.int64))
    loader = Loader(source, model.source, tolerance=tolerance, cache_bytes=0, threads=1)
    (batch,) = loader.batches([indices])
    rows = first_of_each(batch.index)
    parts = batch.images, batch.aspect, batch.side, batch.labels, batch.index
    return Batch(*(part[rows] for part in parts))


def _at(batch: Batch, rows: Tensor, angle: float, size: int) -> Tensor:
    """Return the centres of images (n, C, S, S), rotated by an angle; the corners show the image's own content."""
    state: State = Rotation().state(torch.full((len(rows), 1), angle))
    pyramid = Pyramid.build(batch.images[rows], size, SHARE)
    return render(pyramid, base_state(batch.aspect[rows], SHARE), state, size=size)


def _reads(model: FrozenModel, shown: Tensor, bank: Tensor) -> list[Read]:
    """Return each representation of the images (n, A, C, S, S)."""
    count, angles = shown.shape[:2]
    pooled, tokens, grids = _represent(model, torch.cat([shown.flatten(0, 1), bank]))
    found = []
    for name in READS:
        if name not in pooled:
            continue
        features = F.normalize(pooled[name].float(), dim=1)
        own, others = features[: count * angles], features[count * angles :]
        nearest = (own @ others.T).topk(min(NEAREST, len(others)), dim=1).indices
        parts = tokens[name][: count * angles].float().unflatten(0, (count, angles))
        colors = principal_colors(parts, ANGLES.index(0), grids[name]) if name in grids else None
        found.append(Read(name, nearest.unflatten(0, (count, angles)).numpy(), colors))
    return found


def _represent(
    model: FrozenModel, images: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, tuple[int, int]]]:
    """Return pooled features, patch tokens, and the grids of those that have at least 2 x 2."""
    parts, grids = [], {}
    for part in images.split(BATCH):
        features = model.encoder(part.to(model.encoder.mean.device))
        both = model.represent_features(features)
        parts.append(tuple({name: each.cpu() for name, each in named.items()} for named in both))
        for name, tokens in parts[-1][1].items():
            fitting = [g for g in (*features.tapped_grids, features.grid) if g[0] * g[1] == tokens.shape[1]]
            if fitting and min(fitting[0]) > 1:
                grids[name] = fitting[0]
    pooled, tokens = ({name: torch.cat([each[k][name] for each in parts]) for name in parts[0][k]} for k in (0, 1))
    return pooled, tokens, grids


def principal_colors(tokens: Tensor, upright: int, grid: tuple[int, int]) -> np.ndarray:
    """Return the first three principal components of patch tokens (n, A, N, C) as colors (n, A, h, w, 3) uint8.

    The components, and the range of each that has colors, are those of the images at the angle ``upright``, so that a
    color means the same at all angles.
    """
    basis = tokens[:, upright].flatten(0, 1)
    mean = basis.mean(dim=0)
    _, vectors = torch.linalg.eigh((basis - mean).T.double() @ (basis - mean).double())
    axes = vectors[:, -3:].flip(1).float()
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()  # an eigenvector has no sign
    seen, every = (basis - mean) @ axes, (tokens - mean) @ axes
    low, high = (seen.quantile(share, dim=0) for share in (TRIMMED, 1 - TRIMMED))
    colors = ((every - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    if colors.shape[-1] < 3:
        colors = F.pad(colors, (0, 3 - colors.shape[-1]))
    return (colors * 255).round().to(torch.uint8).unflatten(2, grid).numpy()
