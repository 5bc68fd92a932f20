"""Depth of single images: a linear head on patch tokens (DINOv2's light protocol), or the encoder trained with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.depth.head import UPSAMPLE, DepthHead
from equicoherence.downstream.depth.metrics import DEPTH_METRICS, depth_errors, scored_pixels
from equicoherence.downstream.depth.training import target, train_head, tune
from equicoherence.downstream.palette import side_by_side
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
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.task import Row, Task, TaskScore, Track, spread
from equicoherence.sets.kinds import DepthSet

PICTURES = 6
SURVEYED = 512  # training images, spread evenly, from which the constant and the scale of tokens are taken
COLORS = "viridis"


@dataclass(frozen=True)
class Depth(Task):
    """Depths of pixels, told by a linear head (`DepthHead`) on a frozen encoder's tokens or on one trained with it.

    encoder: ``frozen``, DINOv2's protocol (Oquab and others 2023): patch and class token -> 256 bins; scale-invariant
    log loss and gradient loss. It differs from theirs where cost asks for it: tokens are taken once, so that images are
    neither cropped, mirrored nor changed in color; depths are compared at 4 x 4 places a patch token, not at all
    pixels; all images are squashed to one size; there are fewer steps, which start nearer (see `DepthHead`).
    ``fine-tuned``: encoder and head trained together for 5 epochs with the scale-invariant log loss and mirrored
    images, as ZoeDepth (Bhat and others 2023) and Depth Anything are fine-tuned. It is not their network: the head is
    the linear one instead of DPT and metric bins, nothing is learnt from relative depth before, images are not rotated,
    cropped or changed in color, and predictions are not averaged with those of the mirrored image.

    pixels: short side of the input. steps, batch, lr: of AdamW on the head of a frozen encoder, the rate falling along
    a cosine. epochs, tuned_batch, tuned_lr: of fine-tuning, tuned_lr the encoder's rate, the head's is ``lr``. train,
    test: images of each split, at most; 0 for all.

    Scores (`depth_errors`) are taken at the depth maps' own resolution, predictions enlarged bilinearly and clamped to
    the limits, over the pixels of `scored_pixels`; they are averaged over images, each counting the same, and images
    without such a pixel are left out. Predictions are not averaged with those of the mirrored image, as DINOv2's are.
    Floors are those of a constant: the median depth of up to 512 training images.
    """

    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    pixels: int = 224
    steps: int = 600
    batch: int = 16
    lr: float = 1e-3
    epochs: int = 5
    tuned_batch: int = 8
    tuned_lr: float = 5e-5
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "depth"
    caption: ClassVar[str] = (
        "Image, true depth, predicted depth, in the colors of the true one: dark is near, black was not measured."
    )
    kind: ClassVar[str] = "depth"
    metrics: ClassVar[dict[str, bool]] = DEPTH_METRICS

    @property
    def protocol(self) -> str:
        return "frozen, linear" if self.encoder == "frozen" else "fine-tuned, linear head"

    def score(self, model: FrozenModel, train: DepthSet, test: DepthSet, track: Track) -> TaskScore:
        known, asked = spread(len(train), self.train), spread(len(test), self.test)
        size = input_size(some_shapes(train.image, known), self.pixels, stride(model.encoder, model.size))
        encoder = sized(model.encoder, size).eval()
        frozen, generator = self.encoder == "frozen", torch.Generator().manual_seed(self.seed)
        survey = [known[i] for i in spread(len(known), SURVEYED)]
        read = known if frozen else survey
        tokens = extract_tokens(encoder, train.image, read, size, track, "depth: training images", cls=True)
        places = (UPSAMPLE * tokens.patches.shape[1], UPSAMPLE * tokens.patches.shape[2])
        surveyed = _targets(train, survey, places)
        constant = _median(surveyed)
        some = tokens.take(spread(len(tokens), SURVEYED), encoder.mean.device)
        head = DepthHead(some, surveyed, train.limits, generator)
        if frozen:
            train_head(
                head, tokens, _targets(train, known, places), steps=self.steps, batch=self.batch, lr=self.lr,
                generator=generator, track=track,
            )  # fmt: skip
        else:
            encoder = copy.deepcopy(encoder)
            tune(
                encoder, head, train, known, size, places, epochs=self.epochs, batch=self.tuned_batch,
                encoder_lr=self.tuned_lr, lr=self.lr, seed=self.seed, track=track,
            )  # fmt: skip
        tokens = extract_tokens(encoder, test.image, asked, size, track, "depth: test images", cls=True)
        errors, pictures = _errors(head, tokens, test, asked, constant)
        rows = [
            Row(metric, float(value), floor=float(floor))
            for metric, (value, floor) in zip(self.metrics, errors.mean(dim=0).T)
        ]
        return TaskScore(rows, pictures, {"train": len(known), "val": len(errors)}, size)


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
    head: DepthHead, tokens: Tokens, test: DepthSet, asked: Sequence[int], constant: float
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """Return errors (images, 2, metrics) of what a head says of tokens, and of a constant; and pictures.

    Images without a pixel to score are left out. Raises `UnusableData` where all are; ValueError for a depth that is
    not finite.
    """
    shown, errors, pictures = set(spread(len(asked), PICTURES)), [], {}
    low, high = test.limits
    depths = read_ahead(test.depth, asked)
    for place, index in enumerate(asked):
        truth, one = torch.from_numpy(next(depths)), tokens.take([place], head.mean.device)
        depth = head(one.patches, one.cls)
        depth = F.interpolate(depth[None], tuple(truth.shape), mode="bilinear")[0, 0].clamp(low, high).cpu()
        if not depth.isfinite().all():
            raise ValueError(f"depths told of {test.name(index)} are not finite: the training diverged; lower its rate")
        scored = scored_pixels(truth, test.limits, test.crop)
        if scored.any():
            guesses = (depth, torch.full_like(truth, min(max(constant, low), high)))
            errors.append(torch.stack([depth_errors(guess, truth, scored) for guess in guesses]))
        if place in shown:
            title, picture = _picture(test.image(index), truth.numpy(), depth.numpy(), test.limits)
            pictures[f"{test.name(index)}{title}"] = picture
    if not errors:
        raise UnusableData(f"no test image has a depth between {low} and {high}")
    return torch.stack(errors), pictures


def _picture(
    image: np.ndarray, truth: np.ndarray, predicted: np.ndarray, limits: tuple[float, float]
) -> tuple[str, np.ndarray]:
    """Return input, truth and prediction side by side, and the depths at both ends of the colors; no depth is black."""
    import matplotlib

    valid = (truth > limits[0]) & (truth < limits[1])
    near, far = np.percentile(truth[valid], [2, 98]) if valid.any() else limits
    colors = matplotlib.colormaps[COLORS]
    panels = [
        (255 * colors(np.clip((depth - near) / max(far - near, 1e-6), 0, 1))[..., :3]).astype(np.uint8)
        for depth in (truth, predicted)
    ]
    panels[0][~valid] = 0
    return f", depth {near:.3g} to {far:.3g}", side_by_side([resize_image(image, truth.shape), *panels])
