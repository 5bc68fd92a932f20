"""Moving the image as a whole: rotation, translation, SE(2) and scale."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.digits import all_digits
from equicoherence.paths.registry import register_path
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Parameter, Range, Transformation

PIXEL = 2 / 224  # one pixel of a 224-pixel image in normalised units: translations scale with the image
TURNED = 10.0  # degrees, above which the sign of an angle counts
SHIFTED = 2.0  # px at 224, above which the sign of a shift counts: about the same share of the default range


@register_path("rotation")
class Rotation(Transformation):
    """Rotate about the centre; ``angle`` in degrees, counter-clockwise as seen [P2, table 2]."""

    def __init__(self, angle: Range = (-45.0, 45.0), probability: float = 1.0) -> None:
        super().__init__(_angle(angle), probability=probability)

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(geometry=geometry.rotation(theta[:, 0]), affine=True)

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


@register_path("translation")
class Translation(Transformation):
    """Shift by (``x``, ``y``), right and down, in pixels of a 224-pixel image [P2, table 2]."""

    def __init__(self, x: Range = (-10.0, 10.0), y: Range = (-10.0, 10.0), probability: float = 1.0) -> None:
        super().__init__(*_shifts(x, y), probability=probability)

    def state(self, theta: Tensor) -> State:
        shift = geometry.translation(theta[:, 0] * PIXEL, theta[:, 1] * PIXEL)
        return State.identity(len(theta), theta.device).replace(geometry=shift, affine=True)

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


@register_path("se2")
class SE2(Transformation):
    """Rotate about the centre, then shift: ``angle`` in degrees, ``x`` and ``y`` as in `Translation`.

    The path scales the three numbers, so the states of a path have their angle and shift at the stated fractions.
    """

    def __init__(
        self,
        angle: Range = (-45.0, 45.0),
        x: Range = (-10.0, 10.0),
        y: Range = (-10.0, 10.0),
        probability: float = 1.0,
    ) -> None:
        super().__init__(_angle(angle), *_shifts(x, y), probability=probability)

    def state(self, theta: Tensor) -> State:
        turn = geometry.rotation(theta[:, 0])
        shift = geometry.translation(theta[:, 1] * PIXEL, theta[:, 2] * PIXEL)
        with all_digits(theta):
            place = turn @ shift
        return State.identity(len(theta), theta.device).replace(geometry=place, affine=True)

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        shift = _turned(second[:, 0], first[:, 1:]) + second[:, 1:]
        return torch.cat([first[:, :1] + second[:, :1], shift], dim=1)

    def inverse(self, theta: Tensor) -> Tensor:
        return -torch.cat([theta[:, :1], _turned(-theta[:, 0], theta[:, 1:])], dim=1)


@register_path("scale")
class Scale(Transformation):
    """Magnify about the centre by ``2 ** octaves``."""

    def __init__(self, octaves: Range = (-0.5, 0.5), probability: float = 1.0) -> None:
        super().__init__(Parameter("octaves", *octaves, "octaves"), probability=probability)

    def state(self, theta: Tensor) -> State:
        return State.identity(len(theta), theta.device).replace(
            geometry=geometry.scaling(torch.exp2(theta[:, 0])), affine=True
        )

    def compose(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


def _angle(degrees: Range) -> Parameter:
    """Return an angle; both mirrors change its sign."""
    return Parameter("angle", *degrees, "degrees", odd=("left-right", "up-down"), side=TURNED)


def _shifts(x: Range, y: Range) -> tuple[Parameter, Parameter]:
    """Return the shifts right and down, each with the mirror that changes its sign."""
    return (
        Parameter("x", *x, "px at 224", odd=("left-right",), side=SHIFTED),
        Parameter("y", *y, "px at 224", odd=("up-down",), side=SHIFTED),
    )


def _turned(degrees: Tensor, points: Tensor) -> Tensor:
    """Rotate (B, 2) points counter-clockwise as seen (y points down)."""
    radians = torch.deg2rad(degrees)
    cos, sin = torch.cos(radians), torch.sin(radians)
    x, y = points.unbind(dim=1)
    return torch.stack([cos * x + sin * y, -sin * x + cos * y], dim=1)
