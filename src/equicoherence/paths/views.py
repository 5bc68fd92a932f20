"""What one training step sees: two views and the intermediate states between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.paths.render import BORDERS, Border, Pyramid, render
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Transformation


@dataclass(frozen=True)
class Views:
    """The views of a batch, float32 in [0, 1].

    v1, v2: (B, 3, S, S). targets: (B, T, 3, S, S), states of the path of view 2. positions: T numbers in [0, 1], where on
    the path each target is. theta: (B, P), the parameters of the path; no loss but the oracle control's reads it.
    """

    v1: Tensor
    v2: Tensor
    targets: Tensor
    positions: tuple[float, ...]
    theta: Tensor


class PathViews:
    """Make ``v1 = A1(I)``, ``u = A2(I)``, ``v2 = g(u)`` and states ``u_t = g_t(u)`` of the path [P2, section 3].

    Each output is rendered from the source image directly, on the images' device. ``path`` None leaves ``v2 = u``
    without targets. ``positions`` are the path positions of the targets: (1/3, 2/3) for the paper's K = 2.
    """

    def __init__(
        self,
        first: Transformation,
        second: Transformation,
        path: Transformation | None = None,
        *,
        size: int,
        positions: Sequence[float] = (1 / 3, 2 / 3),
        border: Border = "content",
    ) -> None:
        if border not in BORDERS:
            raise ValueError(f"border {border!r} is unknown; choose one of {', '.join(BORDERS)}")
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        if any(not 0 <= t <= 1 for t in positions):
            raise ValueError(f"positions must lie in [0, 1], got {tuple(positions)}")
        self.first, self.second, self.path = first, second, path
        self.size, self.border = size, border
        self.positions: tuple[float, ...] = tuple(positions) if path is not None else ()

    def __call__(self, images: Tensor, generator: torch.Generator, aspect: Tensor | None = None) -> Views:
        """Make the views of ``images`` (B, 3, H, W), uint8 or float in [0, 1].

        ``aspect`` (B,) is the true width / height of images that were squashed to a common shape.
        """
        batch, device = len(images), images.device
        pyramid = Pyramid.build(images, self.size)
        theta1 = self.first.sample(batch, generator, aspect).to(device, non_blocking=True)
        theta2 = self.second.sample(batch, generator, aspect).to(device, non_blocking=True)
        base = self.second.state(theta2)
        v1 = render(pyramid, self.first.state(theta1), size=self.size, border=self.border)
        if self.path is None:
            v2 = render(pyramid, base, size=self.size, border=self.border)
            return Views(v1, v2, v2.new_zeros(batch, 0, *v2.shape[1:]), (), v2.new_zeros(batch, 0))
        theta = self.path.sample(batch, generator).to(device, non_blocking=True)
        mean = pyramid.mean(base.geometry)

        def at(t: float) -> Tensor:
            state: State = self.path.state(self.path.at(theta, t))  # type: ignore[union-attr]
            return render(pyramid, base, state, size=self.size, border=self.border, mean=mean)

        v2 = at(1.0)
        targets = [at(t) if t < 1 else v2 for t in self.positions]
        stacked = torch.stack(targets, dim=1) if targets else v2.new_zeros(batch, 0, *v2.shape[1:])
        return Views(v1, v2, stacked, self.positions, theta)
