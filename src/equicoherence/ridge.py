"""Ridge regression on frozen features, and R2, by which what it predicts is scored."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.devices import with_float64

STRENGTHS = tuple(10.0**e for e in range(-5, 4))
CUT = 5.0  # standard deviations at which features are cut


def r2_score(predicted: Tensor, target: Tensor) -> Tensor:
    """Return R2 = 1 - RSS / TSS of each column of (N, P); the mean of ``target`` as a constant predictor scores 0."""
    residual = (target - predicted).square().sum(dim=0)
    total = (target - target.mean(dim=0)).square().sum(dim=0)
    return 1 - residual / total.clamp_min(1e-12)


def ridge_probe(train: Tensor, target: Tensor, test: Tensor, *, draws: int = 1, held_out: float = 0.2) -> Tensor:
    """Predict (M, P) for ``test`` (M, C) by ridge regression from ``train`` (N, C) to ``target`` (N, P).

    The strength is chosen, of each target apart, on a random ``held_out`` share of the images (the same ones each
    time), then all are used.
    draws: rows of each image, as `split_images` takes them.
    """
    device = train.device
    train, target, test = (with_float64(each) for each in (train, target, test))
    train, test = standardise(train, test)
    kept, held = split_images(len(train), draws, held_out)
    strengths = torch.tensor(STRENGTHS, dtype=torch.float64, device=train.device)
    tried = _ridge(train[kept], target[kept], train[held], strengths[:, None].expand(-1, target.shape[1]))
    best = torch.stack([r2_score(each, target[held]) for each in tried]).argmax(dim=0)
    return _ridge(train, target, test, strengths[best][None])[0].to(device)


def split_images(rows: int, draws: int, share: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return the indices of kept and of held-out rows, the same ones for the same seed; none shares an image.

    The rows are ``draws`` passes over the images in one order; ``share`` of the images is held out, at least one.
    Raises ValueError where that leaves none to keep.
    """
    images = rows // draws
    held = max(1, round(images * share))
    if rows % draws or held >= images:
        raise ValueError(f"{rows} rows are not {draws} each of two or more images; a probe needs one image held out")
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    passes = images * torch.arange(draws)[:, None]
    return (passes + order[held:]).flatten(), (passes + order[:held]).flatten()


def standardise(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Standardise the columns by ``train``, cut at ``CUT`` standard deviations: no outlier throws a probe far off."""
    mean, std = train.mean(dim=0), floored(train.std(dim=0))
    train, test = (part.sub(mean).div_(std).clamp_(-CUT, CUT) for part in (train, test))
    return train, test


def floored(std: Tensor) -> Tensor:
    """Add a hundredth of the mean deviation: a column dead in training must not explode where it wakes."""
    return std + 0.01 * std.mean() + 1e-6


def _ridge(train: Tensor, target: Tensor, test: Tensor, strengths: Tensor) -> list[Tensor]:
    """Solve for every row of strengths (S, P), one of each target, from one eigendecomposition, in float64.

    It is that of the features' products or, where these are more than the rows, of the rows': both give the same.
    """
    x, y = train.double(), target.double()
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    x, y, asked = x - x_mean, y - y_mean, test.double() - x_mean
    dual = len(x) < x.shape[1]
    values, vectors = torch.linalg.eigh(x @ x.T if dual else x.T @ x)
    projected = vectors.T @ (y if dual else x.T @ y)
    moved = (asked @ x.T if dual else asked) @ vectors
    spread = values.clamp_min(0)[:, None]
    return [(moved @ (projected / (spread + each * len(x))) + y_mean).float() for each in strengths]
