"""The names of paths: each is given where the path is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from equicoherence.paths.transformation import Transformation

Maker = TypeVar("Maker", bound=Callable[[], Transformation])

PATHS: dict[str, Callable[[], Transformation]] = {}


def register_path(name: str) -> Callable[[Maker], Maker]:
    """Name a path where it is defined: decorate its class, or a function without arguments that returns it.

    Without arguments either gives the ranges that `named_path` draws from. Raises ValueError where another path has
    the name, or where it holds a ``+``, which joins names.
    """

    def register(maker: Maker) -> Maker:
        if "+" in name:
            raise ValueError(f"path name {name!r} holds a +, which joins names; choose another")
        if name in PATHS:
            raise ValueError(f"path name {name!r} is taken by {PATHS[name]}; choose another")
        PATHS[name] = maker
        return maker

    return register
