"""Depth of single images: a linear head on patch tokens (DINOv2's light protocol), or the encoder trained with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.depth.head import UPSAMPLE, DepthHead
from equicoherence.downstream.depth.metrics import depth_errors, scored_pixels
from equicoherence.downstream.depth.training import target, train_head, tune
from equicoherence.downstream.palette import reduced
from equicoherence.downstream.tokens import (
    Tokens,
    extract_tokens,
    input_size,
    read_ahead,
    resize_image,
    sized,
    some_shapes,
    stride,
)
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Meaning, Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.finite import NotFinite
from equicoherence.sets.kinds import DepthSet

if TYPE_CHECKING:
    from equicoherence.downstream.depth.task import Depth

PICTURES = 6
SURVEYED = 512  # training images, spread evenly, from which the constant and the scale of tokens are taken
COLORS = "viridis"


def score_depth(task: Depth, model: FrozenModel, train: DepthSet, test: DepthSet, track: Track) -> TaskScore:
    train_indices, test_indices = spread(len(train), task.train), spread(len(test), task.test)
    size = input_size(some_shapes(train.image, train_indices), task.pixels, stride(model.encoder, model.size))
    encoder = sized(model.encoder, size).eval()
    frozen, generator = task.encoder == "frozen", torch.Generator().manual_seed(task.seed)
    survey = [train_indices[i] for i in spread(len(train_indices), SURVEYED)]
    read = train_indices if frozen else survey
    tokens = extract_tokens(encoder, train.image, read, size, track, "depth: training images", cls=True)
    places = (UPSAMPLE * tokens.patches.shape[1], UPSAMPLE * tokens.patches.shape[2])
    surveyed = _targets(train, survey, places)
    constant = _median(surveyed)
    some = tokens.take(spread(len(tokens), SURVEYED), encoder.mean.device)
    head = DepthHead(some, surveyed, train.limits, generator)
    if frozen:
        train_head(
            head, tokens, _targets(train, train_indices, places), steps=task.steps, batch=task.batch, lr=task.lr,
            generator=generator, track=track,
        )  # fmt: skip
    else:
        encoder = copy.deepcopy(encoder).requires_grad_(True)
        tune(
            encoder, head, train, train_indices, size, places, epochs=task.epochs, batch=task.tuned_batch,
            encoder_lr=task.tuned_lr, lr=task.lr, seed=task.seed, track=track,
        )  # fmt: skip
    tokens = extract_tokens(encoder, test.image, test_indices, size, track, "depth: test images", cls=True)
    errors, pictures = _errors(head, tokens, test, test_indices, constant)
    rows = [
        Row(metric, float(value), floor=float(floor))
        for metric, (value, floor) in zip(task.metrics, errors.mean(dim=0).T)
    ]
    return TaskScore(rows, pictures, {"train": len(train_indices), "val": len(errors)}, size)


def _targets(train: DepthSet, indices: Sequence[int], places: tuple[int, int]) -> Tensor:
    depths = read_ahead(lambda index: target(train.depth(index), train.limits, places), indices)
    return torch.from_numpy(np.stack(list(depths)))


def _median(targets: Tensor) -> float:
    """Return the median of the depths that there are."""
    depths = targets[targets > 0]
    if not len(depths):
        raise UnusableData("no pixel of the training images has a depth within the limits: there is nothing to learn")
    return float(depths.median())


@torch.no_grad()
def _errors(
    head: DepthHead, tokens: Tokens, test: DepthSet, test_indices: Sequence[int], constant: float
) -> tuple[Tensor, dict[str, Picture]]:
    """Return errors (images, 2, metrics) of the predictions of a head, and of a constant; and pictures.

    Images without a pixel to score are left out. Raises `UnusableData` where all are; ValueError for a depth that is
    not finite.
    """
    shown, errors, pictures = set(spread(len(test_indices), PICTURES)), [], {}
    low, high = test.limits
    depths = read_ahead(test.depth, test_indices)
    for place, index in enumerate(test_indices):
        truth, one = torch.from_numpy(next(depths)), tokens.take([place], head.mean.device)
        depth = head(one.patches, one.cls)
        depth = F.interpolate(depth[None], tuple(truth.shape), mode="bilinear")[0, 0].clamp(low, high).cpu()
        if not depth.isfinite().all():
            raise NotFinite(
                f"depths predicted of {test.name(index)} are not finite: the training diverged; lower its rate"
            )
        scored = scored_pixels(truth, test.limits, test.crop)
        if scored.any():
            guesses = (depth, torch.full_like(truth, min(max(constant, low), high)))
            errors.append(torch.stack([depth_errors(guess, truth, scored) for guess in guesses]))
        if place in shown:
            pictures[test.name(index)] = _picture(test.image(index), truth.numpy(), depth.numpy(), test.limits)
    if not errors:
        raise UnusableData(f"no test image has a depth between {low} and {high}")
    return torch.stack(errors), pictures


def _picture(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray, limits: tuple[float, float]) -> Picture:
    """Return input, truth and prediction, and the depths of some colors; no depth is black."""
    import matplotlib
    from matplotlib.colors import to_hex

    valid = (truth > limits[0]) & (truth < limits[1])
    near, far = np.percentile(truth[valid], [2, 98]) if valid.any() else limits
    colors = matplotlib.colormaps[COLORS]
    panels = [
        (255 * colors(np.clip((depth - near) / max(far - near, 1e-6), 0, 1))[..., :3]).astype(np.uint8)
        for depth in (truth, predicted)
    ]
    panels[0][~valid] = 0
    shares = (0.0, 0.5, 1.0)
    legend = [
        Meaning(number, f"{near + share * (far - near):.3g} m", to_hex(colors(share)))
        for number, share in enumerate(shares)
    ]
    if not valid.all():
        legend.append(Meaning(len(shares), "not measured", "#000000"))
    true, predicted = map(reduced, panels)
    return Picture(predicted, {"image": reduced(resize_image(image, truth.shape)), "true depth": true}, legend)
