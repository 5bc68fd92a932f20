"""Whether the two views of an image show one place of it, or each its own."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from equicoherence.paths.transformation import Transformation
from equicoherence.paths.transformations.crop import ResizedCrop
from equicoherence.paths.transformations.sums import Compose

Place = Literal["independent", "shared"]


def check_place(place: str, first: Transformation, second: Transformation) -> None:
    """Raise ValueError for no `Place`, and where a view that is to share its place has no crop to begin with."""
    if place not in get_args(Place):
        raise ValueError(f"place {place!r} is unknown; choose one of {', '.join(get_args(Place))}")
    cropped = all(isinstance(view, Compose) and isinstance(view.parts[0], ResizedCrop) for view in (first, second))
    if place == "shared" and not cropped:
        raise ValueError("place is shared, so both views must begin with a crop; give place='independent'")


def joint_places(place: Place, first: Tensor, second: Tensor) -> None:
    """Give the second of two views, by their parameters (B, P), the box of the first where ``place`` is shared.

    In place. Numbers are drawn for both, so all else in the views is the same.
    """
    if place == "shared":
        box = len(ResizedCrop().parameters) - 1  # the last one is the flip
        second[:, :box] = first[:, :box]
