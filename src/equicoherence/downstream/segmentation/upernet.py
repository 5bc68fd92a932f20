"""UPerNet (Xiao et al. 2018): segmentation from several levels of an encoder, which is trained with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.downstream.levels import Levels, Rescale
from equicoherence.downstream.segmentation.joint_crop import joint_crop
from equicoherence.downstream.segmentation.pixel_classes import nearest_labels, pixel_loss
from equicoherence.downstream.tokens import read_ahead, sized, to_pixels
from equicoherence.evaluation.fit import fit, tuning
from equicoherence.evaluation.task import Track
from equicoherence.models import Encoder
from equicoherence.sets.kinds import SegmentationSet

POOLED = (1, 2, 3, 6)  # sides of the grids that the coarsest map is pooled to
WARM_UP = 0.1  # share of the steps
DECAY = 0.05


class UPerNet(nn.Module):
    """A pyramid pooling module on the coarsest map, a feature pyramid down to the finest, and a classifier of both.

    levels: of the encoder; their weights are trained too. classes: count of logits. channels: of all maps of the head,
    512 in the paper. Batches of training need two images, as the head normalises over them.
    """

    def __init__(self, levels: Levels, classes: int, channels: int) -> None:
        super().__init__()
        *finer, coarsest = levels.widths
        self.levels = levels
        self.rescale = Rescale(levels.widths) if levels.plain else nn.Identity()
        self.pooled = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), _convolution(coarsest, channels, 1)) for side in POOLED
        )
        self.context = _convolution(coarsest + len(POOLED) * channels, channels, 3)
        self.lateral = nn.ModuleList(_convolution(width, channels, 1) for width in finer)
        self.smooth = nn.ModuleList(_convolution(channels, channels, 3) for _ in finer)
        self.fuse = _convolution((len(finer) + 1) * channels, channels, 3)
        self.classify = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(channels, classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes, h, w) float32, as fine as the finest map, of images (B, 3, H, W) in [0, 1]."""
        with tuning(images.device):
            return self._logits(images).float()

    def _logits(self, images: Tensor) -> Tensor:
        *finer, coarsest = self.rescale(self.levels(images))
        pooled = [_enlarge(pool(coarsest), coarsest) for pool in self.pooled]
        maps = [self.context(torch.cat([coarsest, *pooled], dim=1))]
        for lateral, level in zip(reversed(self.lateral), reversed(finer)):  # type: ignore[call-overload]
            sideways = lateral(level)
            maps.insert(0, sideways + _enlarge(maps[0], sideways))
        maps = [smooth(level) for smooth, level in zip(self.smooth, maps)] + maps[-1:]
        return self.classify(self.fuse(torch.cat([_enlarge(level, maps[0]) for level in maps], dim=1)))


def _convolution(width: int, channels: int, side: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width, channels, side, padding=side // 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


def _enlarge(level: Tensor, to: Tensor) -> Tensor:
    return level if level.shape[2:] == to.shape[2:] else F.interpolate(level, to.shape[2:], mode="bilinear")


def tune(
    encoder: Encoder,
    pixels: int,
    train: SegmentationSet,
    train_indices: Sequence[int],
    size: tuple[int, int],
    *,
    channels: int,
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    track: Track[int],
) -> tuple[UPerNet, int]:
    """Train a UPerNet with a copy of an encoder on the images ``train_indices`` of a data set.

    Returns it in eval mode, and of how many different images it has seen something.

    AdamW, weight decay 0.05 but on biases and norms, the rate rising over a tenth of the steps, then falling along a
    cosine; cross-entropy at the resolution of the logits; no auxiliary head. Each image is shown as a `joint_crop` at
    ``size`` (h, w). pixels: on a side of an image that the encoder takes as it is.
    """
    generator = torch.Generator().manual_seed(seed)
    device = encoder.mean.device
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        network = UPerNet(Levels(copy.deepcopy(encoder).requires_grad_(True), pixels), len(train.classes), channels)
        network.levels.encoder = sized(network.levels.encoder, size)  # before there is an optimizer of its weights
        network.to(device).train()
        chosen = torch.randint(len(train_indices), (steps * batch,), generator=generator).tolist()
        draws = torch.rand(steps * batch, 5, generator=generator).tolist()

        def load(place: int) -> tuple[np.ndarray, np.ndarray]:
            index = train_indices[chosen[place]]
            return joint_crop(train.image(index), train.mask(index), size, draws[place])

        pairs = read_ahead(load, range(steps * batch))

        def loss(step: int) -> Tensor:
            images, masks = zip(*(next(pairs) for _ in range(batch)))
            logits = network(to_pixels(images, device))
            target = nearest_labels(torch.from_numpy(np.stack(masks)), (logits.shape[2], logits.shape[3])).to(device)
            return pixel_loss(logits, target)

        what = "segmentation: fine-tuning"
        fit(loss, _groups(network, lr), steps, head=network, what=what, track=track, rise=WARM_UP)
    return network.eval(), len(set(chosen))


def _groups(network: nn.Module, lr: float) -> list[dict[str, object]]:
    """Split the weights into those that decay and those, biases and norms, that do not."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    matrices = [weight for weight in weights if weight.ndim > 1]
    return [
        {"params": matrices, "lr": lr, "weight_decay": DECAY},
        {"params": [weight for weight in weights if weight.ndim < 2], "lr": lr, "weight_decay": 0.0},
    ]
