"""Cutting a box out of the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Range, Transformation

TRIES = 10
"""Number of boxes that are drawn for one crop, as in torchvision."""


class ResizedCrop(Transformation):
    """Cut out a box of random area, aspect ratio and place, show it at full size, mirror it with probability .5.

    area: range of the box's share of the image; ratio: range of its width / height in true pixels, log-uniform. As in
    torchvision's RandomResizedCrop, a box too wide or too high for the image is drawn again, up to ``TRIES`` times in
    all; after that it is the largest central one whose ratio is in the range. Unlike there, it need not be of whole
    pixels.
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
        u = torch.rand(batch, 4 + 2 * TRIES, generator=generator, device=generator.device)
        log_width, log_height, central = self._sides(u[:, 4 : 4 + TRIES], u[:, 4 + TRIES :], aspect)
        place = (2 * u[:, :2] - 1) * ~central
        x, y = (1 - log_width.exp()) * place[:, 0], (1 - log_height.exp()) * place[:, 1]
        flip = (u[:, 2] < self.flip).float()
        theta = torch.stack([x, y, log_width, log_height, flip], dim=1)
        return theta * (u[:, 3:4] < self.probability)

    def _sides(self, areas: Tensor, ratios: Tensor, aspect: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logarithms (B,) of width and height, and which boxes are central (B, 1) as no try fits.

        areas, ratios: (B, TRIES), in [0, 1) of their ranges. All tries are made at once, and nothing waits for the
        device.
        """
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        area = torch.log(self.area[0] + (self.area[1] - self.area[0]) * areas)
        ratio = low + (high - low) * ratios
        image = ratio.new_zeros(1) if aspect is None else aspect.to(ratio).log()
        ratio = ratio - image[:, None]  # of the shares of the two sides, instead of the pixels
        fits = area + ratio.abs() <= 0
        first = fits.byte().argmax(dim=1, keepdim=True)
        central = ~fits.gather(1, first)
        area, ratio, none = area.gather(1, first)[:, 0], ratio.gather(1, first)[:, 0], central[:, 0]
        log_width = torch.where(none, (high - image).clamp_max(0), (area + ratio) / 2)
        log_height = torch.where(none, (image - low).clamp_max(0), (area - ratio) / 2)
        return log_width, log_height, central

    def state(self, theta: Tensor) -> State:
        x, y, log_width, log_height, flip = theta.unbind(dim=1)
        box = geometry.crop(x, y, log_width.exp(), log_height.exp(), (flip > 0.5).float())
        return State.identity(len(theta), theta.device).replace(geometry=box, affine=True)
