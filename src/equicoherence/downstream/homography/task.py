"""Homography: how far the corners of a patch moved, told from the patch and from what they moved to (DeTone et al.)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.downstream.homography.pairs import REACH, draw_pair, draw_pairs, in_order, turns
from equicoherence.downstream.homography.plane_maps import corner_error, corners_of_map, map_of_corners
from equicoherence.downstream.rates import cosine_after_rise
from equicoherence.downstream.tokens import check_finite, input_size, sized, some_shapes, stride
from equicoherence.evaluation.model import FrozenModel, generators_kept
from equicoherence.evaluation.task import Row, Task, TaskScore, Track, check_trained
from equicoherence.models import Encoder
from equicoherence.sets.kinds import SampleSet

SHORT = 240 / 128  # short side of the image, in sides of the patch
PUBLISHED = 128  # pixels of the patch that errors are reported for
BATCH = 32  # pairs encoded at once
PICTURES = 6


@dataclass(frozen=True)
class HomographyEstimation(Task):
    """Three convolutions on the tokens of both patches, which give how far each token's place moved.

    As DeTone, Malisiewicz, Rabinovich (2016): a square of a photograph; its corners each moved by up to a quarter of
    its side along x and y; the quadrilateral drawn as a square. Both squares go through the encoder one by one; their
    tokens, side by side on the channels, through the head. The homography that fits the map of displacements best
    moves the corners. Error: mean distance of the corners, in pixels of a patch of 128, whatever ``pixels`` is.
    Photographs are squashed to one size, the short side 240 / 128 of the patch's.

    encoder: whether it is trained too. pixels: side of the patch, brought to a multiple of the encoder's stride.
    hidden: channels between the convolutions. pairs, test_pairs: of each split, from its images in turn; those of
    training stay the same for a frozen encoder, and are drawn anew, of images in random order, in each step of a
    fine-tuned one. steps, batch, lr: of AdamW, the rate rising, then falling along a cosine; encoder_lr: that of the
    encoder.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 128
    hidden: int = 128
    pairs: int = 6000
    test_pairs: int = 1000
    steps: int = 1200
    batch: int = 32
    lr: float = 1e-3
    encoder_lr: float = 1e-4
    seed: int = 0

    name: ClassVar[str] = "homography"
    caption: ClassVar[str] = (
        "The square (white), where its corners went (green) and where the head says (red); beside it what was encoded."
    )
    kind: ClassVar[str] = "images"
    metrics: ClassVar[dict[str, bool]] = {"corner_error": False}

    @property
    def protocol(self) -> str:
        return f"{self.encoder}, displacement map"

    def score(self, model: FrozenModel, train: SampleSet, test: SampleSet, track: Track) -> TaskScore:
        step = stride(model.encoder, model.size)
        patch = max(1, round(self.pixels / step)) * step
        if patch < 2 * step:
            raise ValueError(
                f"homography.pixels is {self.pixels}, which is one token of {model.encoder.name}, {step} pixels wide: "
                "four corners need two tokens on a side at least"
            )
        size = input_size(some_shapes(train.image, range(len(train))), round(SHORT * patch), 1)
        encoder = sized(model.encoder, (patch, patch)).eval()
        order = turns(train, self.pairs)
        with generators_kept():
            torch.manual_seed(self.seed)
            head = displacement_head(2 * encoder.width, self.hidden).to(encoder.mean.device)
            if self.encoder == "fine-tuned":
                encoder = copy.deepcopy(encoder)
                encoder.train()
                order = turns(train, self.steps * self.batch)
                mixed = torch.randperm(len(order), generator=self._generator(4)).tolist()
                images = in_order(train, size, [order[place] for place in mixed])
                pairs = draw_pairs(images, size, patch, self._generator(1), self.batch, encoder.mean.device)
                trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
                groups = [{"params": head.parameters(), "lr": self.lr}, {"params": trained, "lr": self.encoder_lr}]
                batches = ((_joint(encoder, pair.first, pair.second), pair.displacements) for pair in pairs)
                self._fit(head, groups, batches, track)
            else:
                known = _encoded(encoder, train, self.pairs, size, patch, self._generator(1), track, "training")
                groups = [{"params": head.parameters(), "lr": self.lr}]
                self._fit(head, groups, self._drawn(*known, encoder.mean.device), track)
        check_trained(head)
        head.eval()
        encoder.eval()
        tokens, truth = _encoded(encoder, test, self.test_pairs, size, patch, self._generator(2), track, "test")
        predicted = torch.cat([_corners(head, part) for part in tokens.split(BATCH)]).cpu()
        truth = truth.cpu()
        error, floor = (PUBLISHED * corner_error(said, truth).mean() for said in (predicted, torch.zeros_like(truth)))
        pictures = self._pictures(test, size, patch, predicted)
        counts = {"train": len(set(order)), "val": min(len(test), self.test_pairs)}
        return TaskScore([Row("corner_error", float(error), floor=float(floor))], pictures, counts, (patch, patch))

    def _generator(self, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed(1000 * self.seed + stream)

    def _drawn(self, tokens: Tensor, truth: Tensor, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the tokens and displacements of pairs drawn at random, a batch for each step."""
        generator = self._generator(3)
        for _ in range(self.steps):
            chosen = torch.randint(len(tokens), (min(self.batch, len(tokens)),), generator=generator)
            chosen = chosen.to(tokens.device)
            yield tokens[chosen].to(device).float(), truth[chosen].to(device)

    def _fit(self, head: nn.Module, groups: list[dict], batches: Iterator[tuple[Tensor, Tensor]], track: Track) -> None:
        optimizer = torch.optim.AdamW(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_after_rise(step, self.steps))
        for _ in track(range(self.steps), "homography: training"):
            tokens, displacements = next(batches)
            moves = head(tokens)
            target = map_of_corners(displacements, (moves.shape[2], moves.shape[3]))
            F.l1_loss(moves, target / REACH).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()

    def _pictures(self, test: SampleSet, size: tuple[int, int], patch: int, predicted: Tensor) -> dict[str, np.ndarray]:
        """Draw the first pairs of the test again, with what the head said of them."""
        images = in_order(test, size, turns(test, self.test_pairs))
        pairs = next(draw_pairs(images, size, patch, self._generator(2), BATCH, torch.device("cpu")))
        names = [test.name(index) for index in turns(test, self.test_pairs)[:PICTURES]]
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
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or not encoder.training):
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
    pairs = draw_pairs(in_order(images, size, turns(images, count)), size, patch, generator, BATCH, encoder.mean.device)
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
    """Return the displacements (B, 4, 2) of corners, in sides of the square, that a head says of tokens."""
    return corners_of_map(REACH * head(tokens.float()))
