"""Rotations, hues and labels of imaginary renders with the ranges of 3DIEBench."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from equicoherence.evaluation.poses.renders import Renders


def euler_quaternions(angles: Tensor) -> Tensor:
    """Return quaternions (..., 4), (x, y, z, w), of extrinsic x, y, z angles (..., 3): R = Rz Ry Rx."""
    (a, b, c), (d, e, f) = (x.unbind(dim=-1) for x in ((angles / 2).cos(), (angles / 2).sin()))
    parts = (d * b * c - a * e * f, a * e * c + d * b * f, a * b * f - d * e * c, a * b * c + d * e * f)
    return torch.stack(parts, dim=-1)


def matrices(quaternions: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) of quaternions (x, y, z, w)."""
    x, y, z, w = quaternions.unbind(dim=-1)
    entries = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        *(2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        *(2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def imagine(
    objects: int, views: int, features: Callable[[Renders, torch.Generator], dict[str, Tensor]], seed: int = 0
) -> Renders:
    """Return renders of poses within +-pi/2 and of 5 classes, with the features that a function makes of them."""
    generator = torch.Generator().manual_seed(seed)
    rotations = euler_quaternions((torch.rand(objects, views, 3, generator=generator) * 2 - 1) * torch.pi / 2)
    hues = torch.rand(objects, views, 2, generator=generator)
    labels = torch.randint(5, (objects,), generator=generator)
    bare = Renders({"none": torch.zeros(objects, views, 1)}, rotations, hues, labels)
    return Renders(features(bare, generator), rotations, hues, labels)
