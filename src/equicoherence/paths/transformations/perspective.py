"""Tilting the picture plane."""

from __future__ import annotations

from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.registry import register_path
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Range, Transformation

TILTED = 0.03  # above which the sign of a tilt counts: a fifth of the default range


@register_path("perspective")
class Perspective(Transformation):
    """Tilt the picture about its centre: ``tilt_x`` above 0 brings the right side nearer, ``tilt_y`` the lower side.

    The matrix is ``I + G`` with the tilts (a, b) as the third row of G and nothing else, so the depth is
    ``1 + a x + b y``: a tilt of .15 reads 1.18 times as far from the centre at the left edge and .87 times at the
    right. ``G G = 0``, hence ``exp(t G) = I + t G``: tilts add, the path ``t theta`` is a one-parameter subgroup, and
    the states of a path have their tilts at the stated fractions. At the centre nothing moves and no size changes.

    Where ``|tilt_x| + |tilt_y|`` reaches 1 the horizon comes into the picture: ranges that could are a ValueError. The
    default shows at most 1 / .7 times the base image to each side, as a rotation by 45 degrees does. [P2] names
    perspective as an augmentation; ranges and parameters are ours.
    """

    def __init__(self, x: Range = (-0.15, 0.15), y: Range = (-0.15, 0.15), probability: float = 1.0) -> None:
        super().__init__(
            Parameter("tilt_x", *x, odd=("left-right",), side=TILTED),
            Parameter("tilt_y", *y, odd=("up-down",), side=TILTED),
            probability=probability,
        )
        steepest = sum(max(abs(low), abs(high)) for low, high in (x, y))
        if not steepest < 1:
            raise ValueError(
                f"tilts of up to {x} and {y} bring the horizon into the picture; keep the sum of the largest below 1, "
                f"it is {steepest:g}"
            )

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(geometry=geometry.tilt(theta[:, 0], theta[:, 1]))

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta
