"""Changing the appearance of the image without moving it: color jitter, grayscale, blur and solarize."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from equicoherence.paths import color
from equicoherence.paths.registry import register_path
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Range, Transformation


@register_path("color")
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
    """Remove the color by ``amount`` in [0, 1]; samples have 0 or 1."""

    def __init__(self, probability: float = 0.2) -> None:
        super().__init__(Parameter("amount", 1.0, 1.0), probability=probability)

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(color=color.saturation(1 - theta[:, 0]))


@register_path("blur")
class Blur(Transformation):
    """Blur by a Gaussian of ``sigma`` output pixels [P2, table 2].

    path: with ``heat`` the variance grows linearly (the state at t solves the heat equation: sigma * sqrt(t)), with
    ``linear`` the standard deviation (as in the paper).
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

    def at(self, theta: Tensor, t: float | Tensor) -> Tensor:
        return theta * (t**0.5 if self.path == "heat" else t)


class Solarize(Transformation):
    """Invert all values from ``1 - amount`` up; 0 inverts nothing. Samples have amount .5 (threshold 128 of 256)."""

    def __init__(self, amount: float = 0.5, probability: float = 0.2) -> None:
        super().__init__(Parameter("amount", amount, amount), probability=probability)

    def state(self, theta: Tensor) -> State:
        threshold = torch.where(theta[:, 0] > 0, 1 - theta[:, 0], 2.0)
        return State.identity(len(theta), theta.device).replace(threshold=threshold)
