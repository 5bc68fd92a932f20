"""The transformations: rotation, translation, SE(2), scale, crop, color jitter, grayscale, blur, solarize, and sums."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from equicoherence.paths import color, geometry
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Transformation

Range = tuple[float, float]
PIXEL = 2 / 224  # one pixel of a 224-pixel image in normalised units: translations scale with the image


class Rotation(Transformation):
    """Turn about the centre; ``angle`` in degrees, counter-clockwise as seen [P2, table 2]."""

    def __init__(self, angle: Range = (-45.0, 45.0), probability: float = 1.0) -> None:
        super().__init__(Parameter("angle", *angle, "degrees"), probability=probability)

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(geometry=geometry.rotation(theta[:, 0]))

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


class Translation(Transformation):
    """Shift by (``x``, ``y``), right and down, in pixels of a 224-pixel image [P2, table 2]."""

    def __init__(self, x: Range = (-10.0, 10.0), y: Range = (-10.0, 10.0), probability: float = 1.0) -> None:
        super().__init__(Parameter("x", *x, "px at 224"), Parameter("y", *y, "px at 224"), probability=probability)

    def state(self, theta: Tensor) -> State:
        shift = geometry.translation(theta[:, 0] * PIXEL, theta[:, 1] * PIXEL)
        return State.identity(len(theta), theta.device).replace(geometry=shift)

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


class SE2(Transformation):
    """Turn about the centre, then shift: ``angle`` in degrees, ``x`` and ``y`` as in `Translation`.

    The path scales the three numbers, so the states of a path have their angle and shift at the stated fractions.
    """

    def __init__(
        self,
        angle: Range = (-45.0, 45.0),
        x: Range = (-10.0, 10.0),
        y: Range = (-10.0, 10.0),
        probability: float = 1.0,
    ) -> None:
        super().__init__(
            Parameter("angle", *angle, "degrees"),
            Parameter("x", *x, "px at 224"),
            Parameter("y", *y, "px at 224"),
            probability=probability,
        )

    def state(self, theta: Tensor) -> State:
        turn = geometry.rotation(theta[:, 0])
        shift = geometry.translation(theta[:, 1] * PIXEL, theta[:, 2] * PIXEL)
        return State.identity(len(theta), theta.device).replace(geometry=turn @ shift)

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        shift = _turned(second[:, 0], first[:, 1:]) + second[:, 1:]
        return torch.cat([first[:, :1] + second[:, :1], shift], dim=1)

    def inverse(self, theta: Tensor) -> Tensor:
        return -torch.cat([theta[:, :1], _turned(-theta[:, 0], theta[:, 1:])], dim=1)


class Scale(Transformation):
    """Magnify about the centre by ``2 ** octaves``."""

    def __init__(self, octaves: Range = (-0.5, 0.5), probability: float = 1.0) -> None:
        super().__init__(Parameter("octaves", *octaves, "octaves"), probability=probability)

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(geometry=geometry.scaling(torch.exp2(theta[:, 0])))

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


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
            Parameter("x", -1.0, 1.0),
            Parameter("y", -1.0, 1.0),
            Parameter("log_width", lowest, 0.0),
            Parameter("log_height", lowest, 0.0),
            Parameter("flip", 0.0, 1.0),
            probability=probability,
        )
        self.area, self.ratio, self.flip = area, ratio, flip

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
        return State.identity(len(theta), theta.device).replace(geometry=box)


class ColorJitter(Transformation):
    """Change brightness, contrast, saturation (factor ``1 + theta``) and hue (full turns), in this order.

    Defaults are the path of [P2], table 2. A number ``a`` for a range stands for (-a, a).
    """

    def __init__(
        self,
        brightness: float | Range = 0.4,
        contrast: float | Range = 0.4,
        saturation: float | Range = 0.4,
        hue: float | Range = 0.1,
        probability: float = 1.0,
    ) -> None:
        given = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        ranges = {name: r if isinstance(r, tuple) else (-r, r) for name, r in given.items()}
        for name, (low, _) in ranges.items():
            if name != "hue" and low < -1:
                raise ValueError(f"{name} range {ranges[name]} reaches below -1, a negative factor")
        super().__init__(*(Parameter(name, *r) for name, r in ranges.items()), probability=probability)

    def state(self, theta: Tensor) -> State:
        bright, contrast, saturate, hue = theta.unbind(dim=1)
        mapped = color.then(color.brightness(1 + bright), color.contrast(1 + contrast))
        mapped = color.then(color.then(mapped, color.saturation(1 + saturate)), color.hue(hue))
        return State.identity(len(theta), theta.device).replace(color=mapped)


class Grayscale(Transformation):
    """Take the color away by ``amount`` in [0, 1]; samples are all or nothing."""

    def __init__(self, probability: float = 0.2) -> None:
        super().__init__(Parameter("amount", 1.0, 1.0), probability=probability)

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(color=color.saturation(1 - theta[:, 0]))


class Blur(Transformation):
    """Blur by a Gaussian of ``sigma`` output pixels [P2, table 2].

    path: ``heat`` spends the variance evenly (the state at t is the heat equation's at time t: sigma * sqrt(t)),
    ``linear`` the standard deviation (the paper's reading).
    """

    def __init__(
        self, sigma: Range = (0.1, 2.0), path: Literal["heat", "linear"] = "heat", probability: float = 1.0
    ) -> None:
        if sigma[0] < 0:
            raise ValueError(f"sigma must not be negative, got {sigma}")
        if path not in ("heat", "linear"):
            raise ValueError(f"blur path {path!r} is unknown; choose heat or linear")
        super().__init__(Parameter("sigma", *sigma, "px"), probability=probability)
        self.path = path

    def state(self, theta: Tensor) -> State:
        bound = self.parameters[0].high
        return State.identity(len(theta), theta.device).replace(sigma=theta[:, 0].clamp_min(0), sigma_bound=bound)

    def at(self, theta: Tensor, t: float) -> Tensor:
        return theta * (math.sqrt(t) if self.path == "heat" else t)


class Solarize(Transformation):
    """Invert all values from ``1 - amount`` up; 0 inverts nothing. Samples have amount .5 (threshold 128 of 256)."""

    def __init__(self, amount: float = 0.5, probability: float = 0.2) -> None:
        super().__init__(Parameter("amount", amount, amount), probability=probability)

    def state(self, theta: Tensor) -> State:
        threshold = torch.where(theta[:, 0] > 0, 1 - theta[:, 0], 2.0)
        return State.identity(len(theta), theta.device).replace(threshold=threshold)


class Compose(Transformation):
    """Do several transformations one after the other; ``theta`` holds their parameters side by side."""

    def __init__(self, *parts: Transformation) -> None:
        if not parts:
            raise ValueError("Compose needs at least one transformation")
        names = [name for part in parts for name in part.names]
        prefixed = [
            Parameter(
                f"{type(part).__name__.lower()}_{p.name}" if names.count(p.name) > 1 else p.name, p.low, p.high, p.unit
            )
            for part in parts
            for p in part.parameters
        ]
        super().__init__(*prefixed)
        self.parts = parts

    def sample(self, batch: int, generator: torch.Generator, aspect: Tensor | None = None) -> Tensor:
        return torch.cat([part.sample(batch, generator, aspect) for part in self.parts], dim=1)

    def state(self, theta: Tensor) -> State:
        states = [part.state(t) for part, t in zip(self.parts, self._split(theta))]
        result = states[0]
        for state in states[1:]:
            result = result.then(state)
        return result

    def at(self, theta: Tensor, t: float) -> Tensor:
        return torch.cat([part.at(p, t) for part, p in zip(self.parts, self._split(theta))], dim=1)

    def _split(self, theta: Tensor) -> tuple[Tensor, ...]:
        return theta.split([len(part.parameters) for part in self.parts], dim=1)


def _turned(degrees: Tensor, points: Tensor) -> Tensor:
    """Turn (B, 2) points counter-clockwise as seen (y points down)."""
    radians = torch.deg2rad(degrees)
    cos, sin = torch.cos(radians), torch.sin(radians)
    x, y = points.unbind(dim=1)
    return torch.stack([cos * x + sin * y, -sin * x + cos * y], dim=1)
