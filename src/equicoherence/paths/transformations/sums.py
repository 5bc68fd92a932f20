"""Several transformations, one after the other."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from equicoherence.paths.registry import register_path
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Transformation
from equicoherence.paths.transformations.affine import SE2, Scale
from equicoherence.paths.transformations.appearance import Blur, ColorJitter


class Compose(Transformation):
    """Apply several transformations one after the other; ``theta`` is the concatenation of their parameters."""

    def __init__(self, *parts: Transformation) -> None:
        if not parts:
            raise ValueError("Compose needs at least one transformation")
        names = [name for part in parts for name in part.names]
        prefixed = [
            dataclasses.replace(
                p, name=f"{type(part).__name__.lower()}_{p.name}" if names.count(p.name) > 1 else p.name
            )
            for part in parts
            for p in part.parameters
        ]
        super().__init__(*prefixed)
        self.parts = parts

    @property
    def flips(self) -> tuple[tuple[int, float], ...]:
        found, start = [], 0
        for part in self.parts:
            found += [(start + column, probability) for column, probability in part.flips]
            start += len(part.parameters)
        return tuple(found)

    def sample(self, batch: int, generator: torch.Generator, aspect: Tensor | None = None) -> Tensor:
        return torch.cat([part.sample(batch, generator, aspect) for part in self.parts], dim=1)

    def state(self, theta: Tensor) -> State:
        states = [part.state(t) for part, t in zip(self.parts, self._split(theta))]
        result = states[0]
        for state in states[1:]:
            result = result.then(state)
        return result

    def at(self, theta: Tensor, t: float | Tensor) -> Tensor:
        return torch.cat([part.at(p, t) for part, p in zip(self.parts, self._split(theta))], dim=1)

    def _split(self, theta: Tensor) -> tuple[Tensor, ...]:
        return theta.split([len(part.parameters) for part in self.parts], dim=1)


@register_path("all")
def everything() -> Compose:
    """Rotate, shift, scale, change colors and blur: all transformations of [P2], table 2."""
    return Compose(SE2(), Scale(), ColorJitter(), Blur())
