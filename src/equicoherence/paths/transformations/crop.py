"""Cutting a box out of the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Range, Transformation


class ResizedCrop(Transformation):
    """Cut out a box of random area, aspect ratio and place, show it at full size, mirror it half of the time.

    area: range of the box's share of the image; ratio: range of its width / height in true pixels, log-uniform, both
    as in torchvision's RandomResizedCrop (a box too wide or too high is cut to the image instead of drawn again).
    theta: centre ``x``, ``y`` (normalised), ``log_width``, ``log_height`` (natural logarithms of the box's share of
    each side), ``flip``. A mirror image has no path to the image: the flip happens half-way.
    """

    def __init__(
        self, area: Range = (0.2, 1.0), ratio: Range = (3 / 4, 4 / 3), flip: float = 0.5, probability: float = 1.0
    ) -> None:
        if not 0 < area[0] <= area[1] <= 1:
            raise ValueError(f"crop area must lie in (0, 1] with low <= high, got {area}")
        lowest = math.log(area[0]) / 2 - math.log(max(ratio[1], 1 / ratio[0])) / 2
        super().__init__(
            Parameter("x", -1.0, 1.0, odd=("left-right",)),
            Parameter("y", -1.0, 1.0, odd=("up-down",)),
            Parameter("log_width", lowest, 0.0),
            Parameter("log_height", lowest, 0.0),
            Parameter("flip", 0.0, 1.0),
            probability=probability,
        )
        self.area, self.ratio, self.flip = area, ratio, flip

    @property
    def flips(self) -> tuple[tuple[int, float], ...]:
        return ((4, self.flip * self.probability),)

    def sample(self, batch: int, generator: torch.Generator, aspect: Tensor | None = None) -> Tensor:
        u = torch.rand(batch, 6, generator=generator, device=generator.device)
        area = self.area[0] + (self.area[1] - self.area[0]) * u[:, 0]
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = torch.exp(low + (high - low) * u[:, 1])
        if aspect is not None:
            ratio = ratio / aspect.to(ratio)  # of the shares of the two sides, instead of the pixels
        width, height = (area * ratio).sqrt().clamp_max(1), (area / ratio).sqrt().clamp_max(1)
        x, y = (1 - width) * (2 * u[:, 2] - 1), (1 - height) * (2 * u[:, 3] - 1)
        flip = (u[:, 4] < self.flip).float()
        theta = torch.stack([x, y, width.log(), height.log(), flip], dim=1)
        return theta * (u[:, 5:] < self.probability)

    def state(self, theta: Tensor) -> State:
        x, y, log_width, log_height, flip = theta.unbind(dim=1)
        box = geometry.crop(x, y, log_width.exp(), log_height.exp(), (flip > 0.5).float())
        return State.identity(len(theta), theta.device).replace(geometry=box, affine=True)
