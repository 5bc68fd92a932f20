"""The names of paths, which each path registers where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from equicoherence.paths.transformation import Transformation

Maker = TypeVar("Maker", bound=Callable[[], Transformation])

PATHS: dict[str, Callable[[], Transformation]] = {}


def register_path(name: str) -> Callable[[Maker], Maker]:
    """Register a path by name: decorate its class, or a function without arguments that returns it.

    Without arguments, both must give the default ranges of `named_path`. Raises ValueError if another path has the
    name, or if it has a ``+``, which joins names.
    """

    def register(maker: Maker) -> Maker:
        if "+" in name:
            raise ValueError(f"path name {name!r} holds a +, which joins names; choose another")
        if name in PATHS:
            raise ValueError(f"path name {name!r} is taken by {PATHS[name]}; choose another")
        PATHS[name] = maker
        return maker

    return register
