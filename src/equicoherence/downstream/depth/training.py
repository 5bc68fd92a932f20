"""Training a depth head: alone on tokens of a frozen encoder, or together with the encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from equicoherence.downstream.depth.head import DepthHead
from equicoherence.downstream.depth.losses import gradient_loss, silog_loss
from equicoherence.downstream.tokens import Tokens, read_ahead, resize_image, to_pixels
from equicoherence.evaluation.fit import fit, tuning
from equicoherence.evaluation.frozen_model import generators_kept
from equicoherence.evaluation.task import Track
from equicoherence.models import Encoder
from equicoherence.sets.kinds import DepthSet

GRADIENT_WEIGHT = 0.5
"""As in DINOv2, whose first loss lacks the factor of 10 that is in `silog_loss`: here gradients weigh a tenth of what
they do there, which told depth better in few steps (7-Scenes RedKitchen, ViT-Ti: AbsRel .326, against .374 with 5;
with gradients between neighbours at steps 1, 2, 4, 8)."""
CLIP = 1.0  # of the gradient's norm, when the encoder is trained
WARM_UP = 0.1  # share of the steps


def target(depth: np.ndarray, limits: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """Return the depths (h, w) that a head of that size learns from a depth map (H, W): each place's from the nearest
    pixel, 0 where it is not within the limits."""
    rows, columns = ((np.arange(n) + 0.5) * whole / n for n, whole in zip(size, depth.shape))
    nearest = depth[rows.astype(int)[:, None], columns.astype(int)]
    return np.where((nearest > limits[0]) & (nearest < limits[1]), nearest, 0).astype(np.float32)


def train_head(
    head: DepthHead,
    tokens: Tokens,
    targets: Tensor,
    *,
    steps: int,
    batch: int,
    lr: float,
    generator: torch.Generator,
    track: Track[int],
) -> None:
    """Train a head on tokens of N images, with AdamW, the rate falling along a cosine.

    targets: (N, 4 h, 4 w) depths, 0 where there is none. The loss is `silog_loss` + .5 `gradient_loss`.
    """
    device = head.mean.device

    def loss(step: int) -> Tensor:
        chosen = torch.randint(len(tokens), (min(batch, len(tokens)),), generator=generator)
        some = tokens.take(chosen, device)
        predicted, truth = head(some.patches, some.cls), targets[chosen].to(device)
        return silog_loss(predicted, truth, truth > 0) + GRADIENT_WEIGHT * gradient_loss(predicted, truth, truth > 0)

    fit(loss, [{"params": head.parameters(), "lr": lr}], steps, head=head, what="depth: head", track=track)


def tune(
    encoder: Encoder,
    head: DepthHead,
    train: DepthSet,
    train_indices: Sequence[int],
    size: tuple[int, int],
    places: tuple[int, int],
    *,
    epochs: int,
    batch: int,
    encoder_lr: float,
    lr: float,
    seed: int,
    track: Track[int],
) -> None:
    """Train encoder and head on the images ``train_indices``, squashed to ``size``, each mirrored with its depth half
    of the times.

    places: size (4 h, 4 w) of the depths that the head gives. AdamW (decay .01) in one cycle: 10 % of the steps up to
    the rates given, then down along a cosine. The loss is `silog_loss`. The encoder is left in eval mode.
    """
    device, generator = encoder.mean.device, torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(len(train_indices), generator=generator) for _ in range(epochs)]).tolist()
    mirrored = (torch.rand(len(order), generator=generator) < 0.5).tolist()
    steps = -(-len(order) // batch)
    weights = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    groups = [{"params": weights, "lr": encoder_lr}, {"params": list(head.parameters()), "lr": lr}]

    def load(place: int) -> tuple[np.ndarray, np.ndarray]:
        index = train_indices[order[place]]
        image, depth = resize_image(train.image(index), size), target(train.depth(index), train.limits, places)
        return (image[:, ::-1], depth[:, ::-1]) if mirrored[place] else (image, depth)

    samples = read_ahead(load, range(len(order)))

    def loss(step: int) -> Tensor:
        images, depths = zip(*(next(samples) for _ in range(min(batch, len(order) - step * batch))))
        pixels = to_pixels(images, device)
        truth = torch.from_numpy(np.stack(depths)).to(device)
        with tuning(device):
            features = encoder(pixels)
        patches = features.patches.unflatten(1, features.grid)
        return silog_loss(head(patches, features.cls), truth, truth > 0)

    encoder.train()
    with generators_kept():
        torch.manual_seed(seed)  # of dropped paths
        fit(loss, groups, steps, head=head, what="depth: fine-tuning", track=track, rise=WARM_UP, clip=CLIP)
    encoder.eval()
