"""Keypoints: a heatmap head on patch tokens of a frozen encoder, or of one that is trained with it; PCKh."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from equicoherence.data.source import UnusableData
from equicoherence.downstream.keypoints.heatmaps import heatmap_head, heatmap_loss, read_places
from equicoherence.downstream.keypoints.pckh import pckh, relative_errors
from equicoherence.downstream.keypoints.samples import Samples, mean_places
from equicoherence.downstream.rates import cosine_after_rise
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
from equicoherence.evaluation.model import FrozenModel, generators_kept
from equicoherence.evaluation.task import Row, Task, TaskScore, Track, check_trained, spread
from equicoherence.models import Encoder
from equicoherence.sets.kinds import KeypointSet

THRESHOLDS = {"pckh@0.5": 0.5, "pckh@0.1": 0.1}
PICTURES = 6
CELL = 8  # pixels of the input, the largest cell of a map
TRUE, SAID = (40, 220, 60), (255, 60, 40)  # colors of points


@dataclass(frozen=True)
class KeypointDetection(Task):
    """A head that draws a heatmap of each point, by transposed convolutions (Xiao, Wu, Wei 2018).

    The head alone is trained, or the encoder with it (``fine-tuned``), with cross-entropy over positions against
    Gaussians; a place is the probability's mean about the largest cell. Points beyond the image are not trained on.
    Mirrored images are trained on too where the set says which point is which in them.

    encoder: whether it is trained too. pixels: short side of the input. hidden: channels of the head, whose maps are
    twice as fine as tokens, and twice again, until a cell is of at most 8 pixels of the input. sigma: of the targets,
    in pixels of the input. steps, batch, lr: of AdamW, the rate rising, then falling along a cosine; encoder_lr:
    that of the encoder. train, test: images of each split, at most; 0 for all.

    Published protocols do more: images rotated and scaled at random about the person, and places averaged with those of
    the mirrored image in tests; here neither, and 500 steps.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 224
    hidden: int = 128
    sigma: float = 8.0
    steps: int = 500
    batch: int = 32
    lr: float = 1e-3
    encoder_lr: float = 1e-4
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "keypoints"
    caption: ClassVar[str] = "True points are green rings, each joined to the red dot where the head puts it."
    kind: ClassVar[str] = "keypoints"
    metrics: ClassVar[dict[str, bool]] = dict.fromkeys(THRESHOLDS, True)

    @property
    def protocol(self) -> str:
        return f"{self.encoder}, heatmaps"

    def score(self, model: FrozenModel, train: KeypointSet, test: KeypointSet, track: Track) -> TaskScore:
        tuned = self.encoder == "fine-tuned"
        known = Samples(train, spread(len(train), self.train), with_mirrored=bool(train.mirrored))
        asked = Samples(test, spread(len(test), self.test), with_mirrored=False)
        step = stride(model.encoder, model.size)
        doublings = max(0, math.ceil(math.log2(step / CELL)))
        sigma = self.sigma * 2**doublings / step
        size = input_size(some_shapes(train.image, known.chosen), self.pixels, step)
        encoder = sized(model.encoder, size).eval()
        with generators_kept():
            torch.manual_seed(self.seed)
            head = heatmap_head(encoder.width, len(train.names), self.hidden, doublings)
            head.to(encoder.mean.device)
            if tuned:
                encoder = copy.deepcopy(encoder)
                self._fine_tune(encoder, head, known, size, sigma, track)
            else:
                self._train_head(encoder, head, known, size, sigma, track)
        check_trained(head)
        seen = len(known.chosen)
        if tuned:
            seen = len((self._order(len(known)) % seen).unique())
        tokens = extract_tokens(encoder, asked.load, range(len(asked)), size, track, "keypoints: test images").patches
        predicted = torch.cat([_places(head, tokens[i : i + self.batch]) for i in range(0, len(tokens), self.batch)])
        constant = mean_places(known.places, known.scored & known.inside)
        rows = _rows(asked, predicted, constant, test.names)
        pictures = {
            test.name(asked.chosen[i]): draw_points(test.image(asked.chosen[i]), asked.places[i], predicted[i], scored)
            for i in spread(len(asked), PICTURES)
            if (scored := asked.scored[i]).any()
        }
        return TaskScore(rows, pictures, {"train": seen, "val": len(asked)}, size)

    def _train_head(
        self, encoder: Encoder, head: nn.Module, known: Samples, size: tuple[int, int], sigma: float, track: Track
    ) -> None:
        tokens = extract_tokens(encoder, known.load, range(len(known)), size, track, "keypoints: training images")
        device = encoder.mean.device

        def features(chosen: Tensor) -> Tensor:
            return as_maps(tokens.take(chosen, device).patches)

        self._fit(
            head, [{"params": head.parameters(), "lr": self.lr}], features, self._order(len(known)), known, sigma, track
        )

    def _fine_tune(
        self, encoder: Encoder, head: nn.Module, known: Samples, size: tuple[int, int], sigma: float, track: Track
    ) -> None:
        order = self._order(len(known))
        images = read_ahead(lambda i: resize_image(known.load(i), size), order.flatten().tolist())
        device = encoder.mean.device
        encoder.train()

        def features(chosen: Tensor) -> Tensor:
            pixels = to_pixels([next(images) for _ in range(len(chosen))], device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                found = encoder(pixels)
            return found.patches.float().transpose(1, 2).unflatten(2, found.grid)

        trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        groups = [{"params": head.parameters(), "lr": self.lr}, {"params": trained, "lr": self.encoder_lr}]
        self._fit(head, groups, features, order, known, sigma, track)
        encoder.eval()

    def _order(self, count: int) -> Tensor:
        """Return which samples (steps, batch) each step sees."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(count, (self.steps, min(self.batch, count)), generator=generator)

    def _fit(
        self,
        head: nn.Module,
        groups: list[dict],
        features: Callable[[Tensor], Tensor],
        order: Tensor,
        known: Samples,
        sigma: float,
        track: Track,
    ) -> None:
        optimizer = torch.optim.AdamW(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_after_rise(step, self.steps))
        head.train()
        for step in track(range(self.steps), "keypoints: training"):
            chosen = order[step]
            logits = head(features(chosen))
            places, scored = known.places[chosen], (known.scored & known.inside)[chosen]
            heatmap_loss(logits, places.to(logits.device), scored.to(logits.device), sigma).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        head.eval()


def draw_points(image: np.ndarray, places: Tensor, predicted: Tensor, scored: Tensor) -> np.ndarray:
    """Return the image, and the image with its scored points: true ones as green rings, each joined to the red dot
    where the head puts it."""
    height, width = image.shape[:2]
    scale = 320 / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    plain = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    drawn = plain.copy()
    pen = ImageDraw.Draw(drawn)
    for true, said in (torch.stack([places[scored], predicted[scored]], dim=1) * torch.tensor(size)).tolist():
        pen.line([*true, *said], fill=SAID, width=2)
        pen.ellipse([true[0] - 5, true[1] - 5, true[0] + 5, true[1] + 5], outline=TRUE, width=3)
        pen.ellipse([said[0] - 3, said[1] - 3, said[0] + 3, said[1] + 3], fill=SAID)
    return np.concatenate([np.array(plain), np.array(drawn)], axis=1)


@torch.no_grad()
def _places(head: nn.Module, patches: Tensor) -> Tensor:
    device = next(head.parameters()).device
    return read_places(head(as_maps(patches.to(device)))).cpu()


def _rows(asked: Samples, predicted: Tensor, constant: Tensor, names: Sequence[str]) -> list[Row]:
    if not asked.scored.any():
        raise UnusableData("no point of the test images is scored, so there is nothing to measure")
    errors = relative_errors(predicted, asked.places, asked.shapes, asked.lengths)
    floors = relative_errors(constant.expand_as(predicted), asked.places, asked.shapes, asked.lengths)
    rows = []
    for metric, threshold in THRESHOLDS.items():
        each, mean = pckh(errors, asked.scored, threshold)
        floor_each, floor = pckh(floors, asked.scored, threshold)
        rows.append(Row(metric, float(mean), floor=float(floor)))
        seen = asked.scored.any(dim=0).tolist()
        values = zip(each.tolist(), names, floor_each.tolist(), seen)
        rows += [Row(metric, value, name, below) for value, name, below, there in values if there]
    return rows
