"""The interface of a decoder of the auxiliary task, and the list of decoders by name."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn


@dataclass(frozen=True)
class Decoding:
    """The arguments from which a decoder is built.

    d_equi: features of the tokens.
    targets: T, the number of states.
    size: S, pixels.
    grid: (h, w) of the tokens.
    parts: of the render decoder.
    width: channels inside the cross-attention decoder.
    scales: of the geodesic and the solid decoder.
    any_time: whether states may be anywhere on the path, so that one decoder receives their position, instead of one
        decoder for each state.
    channels: C, of the states.
    """

    d_equi: int
    targets: int
    size: int
    grid: tuple[int, int]
    parts: tuple[str, ...]
    width: int = 256
    scales: tuple[int, ...] = (1,)
    any_time: bool = False
    channels: int = 3


class Decoder(nn.Module, abc.ABC):
    """Abstract base: decode T states.

    scales: sizes of the squares, in pixels, over which the error is averaged before it is squared; the loss is the mean
        over them.
    """

    scales: tuple[int, ...] = (1,)

    @property
    def pixel(self) -> int:
        """Side of a pixel of what is decoded, in pixels of the views: in training, the smallest of the scales."""
        return min(self.scales) if self.training else 1

    @abc.abstractmethod
    def forward(
        self, z1: Tensor, z2: Tensor, grid: tuple[int, int], views: tuple[Tensor, Tensor], times: Tensor
    ) -> Tensor:
        """Decode (B, T, C, S, S), or S / `pixel` for S.

        views: both, (B, C, S, S), normalised. times: (B, T), where on the path each state lies.
        """


@dataclass(frozen=True)
class Kind:
    """The entry of a decoder's name.

    build: builds it.
    from_view2: it warps view 2 instead of drawing pixels, so view 2 itself cannot be a target.
    path: the `views.path` that it needs, as it warps both ends of it, so neither view can be a target; empty for any.
    targets: what it reconstructs by default.
    """

    build: Callable[[Decoding], Decoder]
    from_view2: bool
    path: Literal["", "between", "poses"]
    targets: str


DECODERS: dict[str, Kind] = {}


def named(
    name: str,
    *,
    from_view2: bool = False,
    path: Literal["", "between", "poses"] = "",
    targets: str = "intermediate",
) -> Callable[[Callable[[Decoding], Decoder]], None]:
    """Note what builds a decoder under its name in ``DECODERS``; see `Kind`."""

    def note(build: Callable[[Decoding], Decoder]) -> None:
        DECODERS[name] = Kind(build, from_view2, path, targets)

    return note
