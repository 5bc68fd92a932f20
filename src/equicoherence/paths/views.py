"""What one training step sees: two views and the intermediate states between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.outputs import Output
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.render import render_all
from equicoherence.paths.sampling import Border, check_border
from equicoherence.paths.transformation import Transformation


@dataclass(frozen=True)
class Views:
    """The views of a batch, float32 in [0, 1].

    v1, v2: (B, 3, S, S). targets: (B, T, 3, S, S), states of the path of view 2. positions: T numbers in [0, 1], where
    on the path each target is. theta: (B, P), the parameters of the path; no loss but the oracle control's reads it.
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
        check_border(border)
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        if any(not 0 <= t <= 1 for t in positions):
            raise ValueError(f"positions must lie in [0, 1], got {tuple(positions)}")
        self.first, self.second, self.path = first, second, path
        self.size = size
        self.border: Border = border
        self.positions: tuple[float, ...] = tuple(positions) if path is not None else ()

    def __call__(self, images: Tensor, generator: torch.Generator, aspect: Tensor | None = None) -> Views:
        """Make the views of ``images`` (B, 3, H, W), uint8 or float in [0, 1].

        ``aspect`` (B,) is the true width / height of images that were squashed to a common shape.
        """
        batch, device, size = len(images), images.device, self.size
        pyramid = Pyramid.build(images, size)
        first = self.first.state(self.first.sample(batch, generator, aspect).to(device, non_blocking=True))
        base = self.second.state(self.second.sample(batch, generator, aspect).to(device, non_blocking=True))
        v1, v2 = (empty_pixels(batch, 3, size, size, device=device) for _ in range(2))
        targets = empty_pixels(batch, len(self.positions), 3, size, size, device=device)
        outputs = [Output(first, None, v1)]
        if self.path is None:
            outputs.append(Output(base, None, v2))
            theta = torch.empty(batch, 0, device=device)
        else:
            theta = self.path.sample(batch, generator).to(device, non_blocking=True)
            slots = [(1.0, v2), *zip(self.positions, targets.unbind(dim=1))]
            outputs += [Output(base, self.path.state(self.path.at(theta, t)), pixels) for t, pixels in slots]
        render_all(pyramid, outputs, border=self.border)
        return Views(v1, v2, targets, self.positions, theta)
