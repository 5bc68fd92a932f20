"""From rendered views of an object, and the states between them, to what a training step sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.poses.latents import change_names, pose_change
from equicoherence.paths.transformation import Parameter
from equicoherence.paths.view_batch import Views


def pose_views(
    images: Tensor,
    theta: Tensor,
    size: int,
    positions: Sequence[float] | None = None,
    between: Sequence[float] | None = None,
) -> Views:
    """Make views, resized and nothing else, from groups of images: view 1, view 2, then K states between them.

    The path leads from view 1 (position 0) to view 2 (position 1).

    Args:
        images: (B * (2 + K), 3, H, H) uint8, group after group, as `PoseSampler` orders them.
        theta: (B, P), what changes from view 1 to view 2: see `pose_change`.
        size: Pixels S of the views.
        positions: Where the targets are, among 0, 1 and those of the states; default: the states.
        between: Where the K states are; default: state k, from 1, at k / (K + 1).

    Raises:
        ValueError: the images do not fit theta or ``between`` or are not uint8, or there is no image at a position.
    """
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8:
        raise ValueError(f"images must be (N, 3, H, H) uint8, got {tuple(images.shape)} {images.dtype}")
    if not len(theta) or len(images) % len(theta) or len(images) < 2 * len(theta):
        raise ValueError(f"{len(images)} images are not {len(theta)} groups of 2 views and K states")
    batch = len(theta)
    states = len(images) // batch - 2
    between = state_positions(states) if between is None else between
    if len(between) != states:
        raise ValueError(f"groups hold {states} states, but {len(between)} positions are given for them")
    positions = between if positions is None else positions
    slots = [_slot(position, between) for position in positions]
    groups = images.unflatten(0, (batch, 2 + states))

    def shown(slot: int) -> Tensor:
        pixels = groups[:, slot].float()
        if pixels.shape[-2:] != (size, size):
            pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        return pixels.mul_(1 / 255)

    empty = theta.new_empty(batch, 0, 3, size, size, dtype=torch.float32)
    targets = torch.stack([shown(slot) for slot in slots], dim=1) if slots else empty
    return Views(shown(0), shown(1), targets, tuple(positions), theta)


def state_positions(states: int) -> tuple[float, ...]:
    """Return where ``states`` states are on a path: k / (K + 1)."""
    return tuple(k / (states + 1) for k in range(1, states + 1))


def _slot(position: float, between: Sequence[float]) -> int:
    """Return which image of a group is at a position of the path."""
    near = [slot for slot, there in enumerate((0, 1, *between)) if abs(position - there) < 1e-6]
    if not near:
        there = ", ".join(f"{p:g}" for p in (0, *between, 1))
        raise ValueError(f"no image at position {position:g} of the paths: there are some at {there}")
    return near[0]


def change_parameters(width: int) -> tuple[Parameter, ...]:
    """Return the names of theta with the ranges its numbers lie in, for latents of ``width`` numbers (7 or 10).

    Those of the translation are not published; [-1, 1] is taken.
    """
    return tuple(Parameter(name, -1.0, 1.0) for name in change_names(width))


class PoseViews:
    """Make the views of batches that `PoseSampler` ordered.

    Theta is that of the images which are shown: where a damaged one was replaced, that of what replaced it.

    Args:
        latents: (N, 7 or 10) of all images of the source; they are kept on the device of the first batch.
        between: Where the states of each group lie on its path, in order: `PoseSampler.between`.
        size: Pixels of the views.
        positions: Where the targets are; see `pose_views`.

    Raises:
        ValueError: there is no image at a position.
    """

    def __init__(
        self, latents: np.ndarray, between: Sequence[float], *, size: int, positions: Sequence[float] | None = None
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        self.between, self.size = tuple(between), size
        self.positions: tuple[float, ...] = self.between if positions is None else tuple(positions)
        for position in self.positions:
            _slot(position, between)
        self.parameters = change_parameters(latents.shape[1])
        self._latents = torch.from_numpy(np.array(latents, dtype=np.float32))

    @property
    def group(self) -> int:
        """Images of one object: a part of a batch must hold whole groups."""
        return 2 + len(self.between)

    def __call__(self, images: Tensor, index: Tensor) -> Views:
        """Make the views of ``images`` (B * group, 3, H, H) uint8; ``index`` (B * group,): `Batch.index`."""
        if len(index) != len(images) or len(index) % self.group:
            raise ValueError(f"{len(images)} images with {len(index)} indices are not groups of {self.group}")
        if self._latents.device != images.device:
            self._latents = self._latents.to(images.device)
        ends = index.unflatten(0, (-1, self.group))
        theta = pose_change(self._latents[ends[:, 0]], self._latents[ends[:, 1]])
        return pose_views(images, theta, self.size, self.positions, self.between)
