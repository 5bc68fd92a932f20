"""Homography: predict how far the corners of a patch moved, from the patch and its warped copy (DeTone et al.)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.downstream.homography.pairs import REACH, draw_pair, draw_patch_pairs, in_order, turns
from equicoherence.downstream.homography.plane_maps import corner_error, corners_of_map, map_of_corners
from equicoherence.downstream.tokens import check_finite, input_size, sized, some_shapes, stride
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.fit import fit, reading, tuning
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track
from equicoherence.models import Encoder
from equicoherence.sets.kinds import SampleSet

if TYPE_CHECKING:
    from equicoherence.downstream.homography.task import HomographyEstimation

SHORT = 240 / 128  # short side of the image, in sides of the patch
PUBLISHED = 128  # pixels of the patch that errors are reported for
RISE = 0.05  # share of the steps in which the rate rises
BATCH = 32  # pairs encoded at once
PICTURES = 6


def score_homography(
    task: HomographyEstimation, model: FrozenModel, train: SampleSet, test: SampleSet, track: Track
) -> TaskScore:
    step = stride(model.encoder, model.size)
    patch = max(1, round(task.pixels / step)) * step
    if patch < 2 * step:
        raise RefusedValue(
            f"homography.pixels is {task.pixels}, which is one token of {model.encoder.name}, {step} pixels wide: "
            "four corners need two tokens on a side at least"
        )
    size = input_size(some_shapes(train.image, range(len(train))), round(SHORT * patch), 1)
    encoder = sized(model.encoder, (patch, patch)).eval()
    order = turns(train, task.pairs)
    with generators_kept():
        torch.manual_seed(task.seed)
        head = displacement_head(2 * encoder.width, task.hidden).to(encoder.mean.device)
        if task.encoder == "fine-tuned":
            encoder = copy.deepcopy(encoder).requires_grad_(True)
            encoder.train()
            order = turns(train, task.steps * task.batch)
            mixed = torch.randperm(len(order), generator=_generator(task, 4)).tolist()
            images = in_order(train, size, [order[place] for place in mixed])
            pairs = draw_patch_pairs(images, size, patch, _generator(task, 1), task.batch, encoder.mean.device)
            trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
            groups = [{"params": head.parameters(), "lr": task.lr}, {"params": trained, "lr": task.encoder_lr}]
            batches = ((_joint(encoder, pair.first, pair.second), pair.displacements) for pair in pairs)
            _fit(task, head, groups, batches, track)
        else:
            known = _encoded(encoder, train, task.pairs, size, patch, _generator(task, 1), track, "training")
            groups = [{"params": head.parameters(), "lr": task.lr}]
            _fit(task, head, groups, _drawn(task, *known, encoder.mean.device), track)
    head.eval()
    encoder.eval()
    tokens, truth = _encoded(encoder, test, task.test_pairs, size, patch, _generator(task, 2), track, "test")
    predicted = torch.cat([_corners(head, part) for part in tokens.split(BATCH)]).cpu()
    truth = truth.cpu()
    error, floor = (PUBLISHED * corner_error(said, truth).mean() for said in (predicted, torch.zeros_like(truth)))
    pictures = _pictures(task, test, size, patch, predicted)
    counts = {"train": len(set(order)), "val": min(len(test), task.test_pairs)}
    return TaskScore([Row("corner_error", float(error), floor=float(floor))], pictures, counts, (patch, patch))


def _generator(task: HomographyEstimation, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * task.seed + stream)


def _drawn(
    task: HomographyEstimation, tokens: Tensor, truth: Tensor, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the tokens and displacements of pairs drawn at random, a batch for each step."""
    generator = _generator(task, 3)
    for _ in range(task.steps):
        chosen = torch.randint(len(tokens), (min(task.batch, len(tokens)),), generator=generator)
        chosen = chosen.to(tokens.device)
        yield tokens[chosen].to(device).float(), truth[chosen].to(device)


def _fit(
    task: HomographyEstimation,
    head: nn.Module,
    groups: list[dict],
    batches: Iterator[tuple[Tensor, Tensor]],
    track: Track,
) -> None:
    def loss(step: int) -> Tensor:
        tokens, displacements = next(batches)
        moves = head(tokens)
        target = map_of_corners(displacements, (moves.shape[2], moves.shape[3]))
        return F.l1_loss(moves, target / REACH)

    fit(loss, groups, task.steps, head=head, what="homography: training", track=track, rise=RISE)


def _pictures(
    task: HomographyEstimation, test: SampleSet, size: tuple[int, int], patch: int, predicted: Tensor
) -> dict[str, Picture]:
    """Draw the first pairs of the test again, with what the head said of them."""
    images = in_order(test, size, turns(test, task.test_pairs))
    pairs = next(draw_patch_pairs(images, size, patch, _generator(task, 2), BATCH, torch.device("cpu")))
    names = [test.name(index) for index in turns(test, task.test_pairs)[:PICTURES]]
    return {f"{name}, pair {i}": draw_pair(pairs, i, predicted[i], patch) for i, name in enumerate(names)}


def displacement_head(width: int, hidden: int) -> nn.Sequential:
    """Return three convolutions (3 x 3) from the tokens (B, width, h, w) of two squares to displacements (B, 2, h, w),
    in units of the largest that is drawn."""
    return nn.Sequential(
        nn.BatchNorm2d(width),
        nn.Conv2d(width, hidden, 3, padding=1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, 2, 3, padding=1),
    )


def _joint(encoder: Encoder, first: Tensor, second: Tensor) -> Tensor:
    """Return the tokens (B, 2C, h, w) of two squares, side by side."""
    device = encoder.mean.device
    with (tuning if encoder.training else reading)(device):
        features = encoder(torch.cat([first, second]))
    tokens = features.patches.float().mT.unflatten(2, features.grid)
    return torch.cat(tokens.chunk(2), dim=1)


@torch.no_grad()
def _encoded(
    encoder: Encoder,
    images: SampleSet,
    count: int,
    size: tuple[int, int],
    patch: int,
    generator: torch.Generator,
    track: Track[int],
    what: str,
) -> tuple[Tensor, Tensor]:
    """Return tokens (N, 2C, h, w) float16 and displacements (N, 4, 2) of pairs."""
    pairs = draw_patch_pairs(
        in_order(images, size, turns(images, count)), size, patch, generator, BATCH, encoder.mean.device
    )
    tokens, truth, finite = [], [], torch.ones((), dtype=torch.bool, device=encoder.mean.device)
    for _ in track(range(-(-count // BATCH)), f"homography: {what} pairs"):
        pair = next(pairs)
        tokens.append(_joint(encoder, pair.first, pair.second).half())
        truth.append(pair.displacements)
        finite &= tokens[-1].isfinite().all()
    check_finite(finite, encoder)
    return torch.cat(tokens), torch.cat(truth)


@torch.no_grad()
def _corners(head: nn.Module, tokens: Tensor) -> Tensor:
    """Return the displacements (B, 4, 2) of corners, in sides of the square, that a head predicts from tokens."""
    return corners_of_map(REACH * head(tokens.float()))
