"""Unit quaternions (x, y, z, w) of poses, and how far two are apart."""

from __future__ import annotations

from torch import Tensor

NAMES = ("x", "y", "z", "w")


def pose_errors(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 - (q . q')^2 of rotations (..., N, 4) and (..., M, 4), as (..., N, M) in [0, 1] (SIE's PRE).

    It is sin^2 of half the angle between the two; 3/4 is the mean over all rotations, .63 over 3DIEBench's.
    """
    return (1 - (first @ second.transpose(-1, -2)).square()).clamp(0, 1)
