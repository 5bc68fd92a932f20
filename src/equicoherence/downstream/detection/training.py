"""Training a detector on tokens of a frozen encoder, or together with the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from equicoherence.downstream.detection.detector import detection_loss
from equicoherence.downstream.detection.targets import Size, detection_target, mirrored
from equicoherence.downstream.tokens import Tokens, as_maps, read_ahead, resize_image, to_pixels
from equicoherence.evaluation.fit import fit, tuning
from equicoherence.evaluation.task import Track
from equicoherence.models import Encoder
from equicoherence.sets.kinds import DetectionSet

Target = dict[str, Tensor]
WEIGHT_DECAY = 0.05
WARM_UP = 0.1  # of the steps
CLIP = 1.0  # norm of the gradient


@dataclass(frozen=True)
class Budget:
    """steps, batch: of AdamW. lr, encoder_lr: the highest rates of detector and encoder. seed: of what is drawn."""

    steps: int
    batch: int
    lr: float
    encoder_lr: float
    seed: int


def train_on_tokens(
    detector: FasterRCNN,
    tokens: Tokens,
    data: DetectionSet,
    train_indices: Sequence[int],
    chosen: Sequence[int],
    shapes: Mapping[int, Size],
    frame: Size,
    budget: Budget,
    *,
    masks: bool,
    track: Track[int],
) -> None:
    """Train a detector on tokens of the images ``train_indices``, of sizes (H, W) ``shapes``, squashed to ``frame``.

    chosen: (steps * batch,), which of them each place of each batch shows.
    """
    device = next(detector.parameters()).device

    def load(place: int) -> tuple[int, Target]:
        index = train_indices[chosen[place]]
        return chosen[place], detection_target(data.objects(index), shapes[index], frame, masks=masks)

    def maps(positions: Sequence[int]) -> Tensor:
        return as_maps(tokens.take(positions, device).patches)

    _fit(detector, [{"params": list(detector.parameters()), "lr": budget.lr}], load, maps, budget, track)


def train_with_encoder(
    detector: FasterRCNN,
    encoder: Encoder,
    data: DetectionSet,
    train_indices: Sequence[int],
    chosen: Sequence[int],
    size: Size,
    frame: Size,
    budget: Budget,
    *,
    masks: bool,
    track: Track[int],
) -> None:
    """Train detector and encoder on the images ``train_indices``, squashed to ``size``, mirrored half of the times.

    chosen: (steps * batch,), which of them each place of each batch shows.
    The encoder stays in eval mode: BatchNorm keeps its statistics, as batches of detection are small.
    """
    device = encoder.mean.device
    generator = torch.Generator().manual_seed(budget.seed + 1)
    turned = (torch.rand(len(chosen), generator=generator) < 0.5).tolist()

    def load(place: int) -> tuple[np.ndarray, Target]:
        index = train_indices[chosen[place]]
        image = data.image(index)
        target = detection_target(data.objects(index), image.shape[:2], frame, masks=masks)
        image = resize_image(image, size)
        return (image[:, ::-1], mirrored(target, frame[1])) if turned[place] else (image, target)

    def maps(images: Sequence[np.ndarray]) -> Tensor:
        pixels = to_pixels(images, device)
        with tuning(device):
            features = encoder(pixels)
        return as_maps(features.patches.unflatten(1, features.grid))

    encoder.requires_grad_(True).eval()
    groups = [
        {"params": list(detector.parameters()), "lr": budget.lr},
        {"params": list(encoder.parameters()), "lr": budget.encoder_lr},
    ]
    _fit(detector, groups, load, maps, budget, track)


def _fit(
    detector: FasterRCNN,
    groups: list[dict[str, Any]],
    load: Callable[[int], tuple[Any, Target]],
    maps: Callable[[Sequence[Any]], Tensor],
    budget: Budget,
    track: Track[int],
) -> None:
    device = next(detector.parameters()).device
    samples = read_ahead(load, range(budget.steps * budget.batch))

    def loss(step: int) -> Tensor:
        shown, targets = zip(*(next(samples) for _ in range(budget.batch)))
        targets = [{name: values.to(device) for name, values in target.items()} for target in targets]
        return detection_loss(detector, maps(shown), targets)

    groups = [{**group, "weight_decay": WEIGHT_DECAY} for group in groups]
    detector.train()
    what = "detection: training"
    fit(loss, groups, budget.steps, head=detector, what=what, track=track, rise=WARM_UP, clip=CLIP)
    detector.eval()


def draw(count: int, budget: Budget) -> list[int]:
    """Draw which of ``count`` images each place of each batch shows."""
    generator = torch.Generator().manual_seed(budget.seed)
    return torch.randint(count, (budget.steps * budget.batch,), generator=generator).tolist()
