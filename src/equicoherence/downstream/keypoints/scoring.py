"""Keypoints: a heatmap head on patch tokens of a frozen encoder, or of one that is trained with it; PCKh."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor, nn

from equicoherence.data.source import UnusableData
from equicoherence.downstream.keypoints.heatmaps import heatmap_head, heatmap_loss, read_places
from equicoherence.downstream.keypoints.pckh import pckh, relative_errors
from equicoherence.downstream.keypoints.samples import Samples, mean_places
from equicoherence.downstream.palette import magnified
from equicoherence.downstream.tokens import (
    as_maps,
    extract_tokens,
    input_size,
    read_ahead,
    resize_image,
    sized,
    some_shapes,
    stride,
    to_pixels,
)
from equicoherence.evaluation.fit import fit, tuning
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.models import Encoder
from equicoherence.sets.kinds import KeypointSet

if TYPE_CHECKING:
    from equicoherence.downstream.keypoints.task import KeypointDetection

PICTURES = 6
RISE = 0.05  # share of the steps in which the rate rises
CELL = 8  # pixels of the input, the largest cell of a map
TRUE, SAID = (40, 220, 60), (255, 60, 40)  # colors of points


def score_keypoints(
    task: KeypointDetection, model: FrozenModel, train: KeypointSet, test: KeypointSet, track: Track
) -> TaskScore:
    tuned = task.encoder == "fine-tuned"
    train_samples = Samples(train, spread(len(train), task.train), with_mirrored=bool(train.mirrored))
    test_samples = Samples(test, spread(len(test), task.test), with_mirrored=False)
    step = stride(model.encoder, model.size)
    doublings = max(0, math.ceil(math.log2(step / CELL)))
    sigma = task.sigma * 2**doublings / step
    size = input_size(some_shapes(train.image, train_samples.chosen), task.pixels, step)
    encoder = sized(model.encoder, size).eval()
    with generators_kept():
        torch.manual_seed(task.seed)
        head = heatmap_head(encoder.width, len(train.names), task.hidden, doublings)
        head.to(encoder.mean.device)
        if tuned:
            encoder = copy.deepcopy(encoder).requires_grad_(True)
            _fine_tune(task, encoder, head, train_samples, size, sigma, track)
        else:
            _train_head(task, encoder, head, train_samples, size, sigma, track)
    seen = len(train_samples.chosen)
    if tuned:
        seen = len((_order(task, len(train_samples)) % seen).unique())
    tokens = extract_tokens(
        encoder, test_samples.load, range(len(test_samples)), size, track, "keypoints: test images"
    ).patches
    predicted = torch.cat([_places(head, tokens[i : i + task.batch]) for i in range(0, len(tokens), task.batch)])
    constant = mean_places(train_samples.places, train_samples.scored & train_samples.inside)
    rows = _rows(task, test_samples, predicted, constant, test.names)
    pictures = {
        test.name(test_samples.chosen[i]): draw_points(
            test.image(test_samples.chosen[i]), test_samples.places[i], predicted[i], scored
        )
        for i in spread(len(test_samples), PICTURES)
        if (scored := test_samples.scored[i]).any()
    }
    return TaskScore(rows, pictures, {"train": seen, "val": len(test_samples)}, size)


def _train_head(
    task: KeypointDetection,
    encoder: Encoder,
    head: nn.Module,
    train_samples: Samples,
    size: tuple[int, int],
    sigma: float,
    track: Track,
) -> None:
    tokens = extract_tokens(
        encoder, train_samples.load, range(len(train_samples)), size, track, "keypoints: training images"
    )
    device = encoder.mean.device

    def features(chosen: Tensor) -> Tensor:
        return as_maps(tokens.take(chosen, device).patches)

    _fit(
        task,
        head,
        [{"params": head.parameters(), "lr": task.lr}],
        features,
        _order(task, len(train_samples)),
        train_samples,
        sigma,
        track,
    )


def _fine_tune(
    task: KeypointDetection,
    encoder: Encoder,
    head: nn.Module,
    train_samples: Samples,
    size: tuple[int, int],
    sigma: float,
    track: Track,
) -> None:
    order = _order(task, len(train_samples))
    images = read_ahead(lambda i: resize_image(train_samples.load(i), size), order.flatten().tolist())
    device = encoder.mean.device
    encoder.train()

    def features(chosen: Tensor) -> Tensor:
        pixels = to_pixels([next(images) for _ in range(len(chosen))], device)
        with tuning(device):
            found = encoder(pixels)
        return found.patches.float().transpose(1, 2).unflatten(2, found.grid)

    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    groups = [{"params": head.parameters(), "lr": task.lr}, {"params": trained, "lr": task.encoder_lr}]
    _fit(task, head, groups, features, order, train_samples, sigma, track)
    encoder.eval()


def _order(task: KeypointDetection, count: int) -> Tensor:
    """Return which samples (steps, batch) each step sees."""
    generator = torch.Generator().manual_seed(task.seed)
    return torch.randint(count, (task.steps, min(task.batch, count)), generator=generator)


def _fit(
    task: KeypointDetection,
    head: nn.Module,
    groups: list[dict],
    features: Callable[[Tensor], Tensor],
    order: Tensor,
    train_samples: Samples,
    sigma: float,
    track: Track,
) -> None:
    def loss(step: int) -> Tensor:
        chosen = order[step]
        logits = head(features(chosen))
        places, scored = train_samples.places[chosen], (train_samples.scored & train_samples.inside)[chosen]
        return heatmap_loss(logits, places.to(logits.device), scored.to(logits.device), sigma)

    head.train()
    fit(loss, groups, task.steps, head=head, what="keypoints: training", track=track, rise=RISE)
    head.eval()


def draw_points(image: np.ndarray, places: Tensor, predicted: Tensor, scored: Tensor) -> Picture:
    """Return the image, and with its scored points: true ones as green rings, each joined to the red dot where the
    head puts it."""
    height, width = image.shape[:2]
    scale = 320 / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    plain = magnified(image, (size[1], size[0]))
    drawn = plain.copy()
    pen = ImageDraw.Draw(drawn)
    for true, said in (torch.stack([places[scored], predicted[scored]], dim=1) * torch.tensor(size)).tolist():
        pen.line([*true, *said], fill=SAID, width=2)
        pen.ellipse([true[0] - 5, true[1] - 5, true[0] + 5, true[1] + 5], outline=TRUE, width=3)
        pen.ellipse([said[0] - 3, said[1] - 3, said[0] + 3, said[1] + 3], fill=SAID)
    return Picture(np.array(drawn), {"image": np.array(plain)})


@torch.no_grad()
def _places(head: nn.Module, patches: Tensor) -> Tensor:
    device = next(head.parameters()).device
    return read_places(head(as_maps(patches.to(device)))).cpu()


def _rows(
    task: KeypointDetection, test_samples: Samples, predicted: Tensor, constant: Tensor, names: Sequence[str]
) -> list[Row]:
    if not test_samples.scored.any():
        raise UnusableData("no point of the test images is scored, so there is nothing to measure")
    errors = relative_errors(predicted, test_samples.places, test_samples.shapes, test_samples.lengths)
    floors = relative_errors(
        constant.expand_as(predicted), test_samples.places, test_samples.shapes, test_samples.lengths
    )
    rows = []
    for metric in task.metrics:
        threshold = float(metric.removeprefix("pckh@"))
        each, mean = pckh(errors, test_samples.scored, threshold)
        floor_each, floor = pckh(floors, test_samples.scored, threshold)
        rows.append(Row(metric, float(mean), floor=float(floor)))
        seen = test_samples.scored.any(dim=0).tolist()
        values = zip(each.tolist(), names, floor_each.tolist(), seen)
        rows += [Row(metric, value, parameter=name, floor=below) for value, name, below, there in values if there]
    return rows
