"""What a decoder of the auxiliary task is, and the one list of them by name."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Decoding:
    """What a decoder is built for.

    d_equi: features of the tokens. targets: T, states to decode. size: S, pixels. grid: (h, w) of the tokens. parts:
    of the render decoder. width: channels inside the render and cross-attention decoders.
    """

    d_equi: int
    targets: int
    size: int
    grid: tuple[int, int]
    parts: tuple[str, ...]
    width: int = 256


class Decoder(nn.Module, abc.ABC):
    """Abstract base: decode T states at size S."""

    @abc.abstractmethod
    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        """Decode (B, T, 3, S, S)."""


@dataclass(frozen=True)
class Kind:
    """What a name of a decoder stands for. build: makes it. from_view2: it changes view 2 instead of drawing anew, so
    that view 2 itself is no target for it."""

    build: Callable[[Decoding], Decoder]
    from_view2: bool


DECODERS: dict[str, Kind] = {}


def named(name: str, *, from_view2: bool = False) -> Callable[[Callable[[Decoding], Decoder]], None]:
    """Note what builds a decoder under its name in ``DECODERS``; see `Kind`."""

    def note(build: Callable[[Decoding], Decoder]) -> None:
        DECODERS[name] = Kind(build, from_view2)

    return note
