"""Unit quaternions (x, y, z, w) of poses, and how far two are apart."""

from __future__ import annotations

import torch
from torch import Tensor

NAMES = ("x", "y", "z", "w")


def upright(rotations: Tensor) -> Tensor:
    """Return the one of the two quaternions (..., 4) of each rotation whose w is not negative.

    Euler angles within +-pi/2, as 3DIEBench has them, give w > 0: its own quaternions come back unchanged.
    """
    return torch.where(rotations[..., 3:] < 0, -rotations, rotations)


def pose_errors(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 - (q . q')^2 of rotations (..., N, 4) and (..., M, 4), as (..., N, M) in [0, 1] (SIE's PRE).

    It is sin^2 of half the angle between the two; 3/4 is the mean over all rotations, .63 over 3DIEBench's.
    """
    return (1 - (first @ second.transpose(-1, -2)).square()).clamp(0, 1)
