"""The numbers of several outputs per source, side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.state import State


@dataclass(frozen=True)
class Output:
    """One image to make per source: the state ``path`` of the base images ``base``, written to ``pixels``.

    pixels: (B, C, S, S) float32, may be a slice of a larger tensor. ``path`` None is the base image itself.
    """

    base: State
    path: State | None
    pixels: Tensor


@dataclass(frozen=True)
class Numbers:
    """The states of N outputs, batch first (see `State`).

    whole, base, path: (B, N, 3, 3) with ``whole = base @ path``. color: (B, N, 3, 6). sigma, threshold: (B, N).
    boxes: (B, M, 4), what the M distinct bases read from (`geometry.bounding_boxes`); frame_of: which of them each
    output has. affine: all of whole, base and path are known to be affine (see `State`).
    """

    whole: Tensor
    base: Tensor
    path: Tensor
    color: Tensor
    sigma: Tensor
    threshold: Tensor | None
    sigma_bound: float
    boxes: Tensor
    frame_of: tuple[int, ...]
    affine: bool

    @classmethod
    def of(cls, outputs: Sequence[Output]) -> Numbers:
        """Compose each base with its path and stack the results."""
        batch, device = len(outputs[0].pixels), outputs[0].pixels.device
        bases = [output.base for output in outputs]
        paths = [State.identity(batch, device) if output.path is None else output.path for output in outputs]
        states = [o.base if o.path is None else o.base.then(o.path) for o in outputs]
        distinct = {id(base): base for base in bases}
        frames = torch.stack([base.geometry for base in distinct.values()], dim=1)
        thresholds = [state.threshold for state in states]
        none = torch.full_like(states[0].sigma, 2.0)
        return cls(
            whole=torch.stack([state.geometry for state in states], dim=1),
            base=torch.stack([base.geometry for base in bases], dim=1),
            path=torch.stack([path.geometry for path in paths], dim=1),
            color=torch.stack([state.color for state in states], dim=1),
            sigma=torch.stack([state.sigma for state in states], dim=1),
            threshold=None
            if all(threshold is None for threshold in thresholds)
            else torch.stack([none if threshold is None else threshold for threshold in thresholds], dim=1),
            sigma_bound=max(state.sigma_bound for state in states),
            boxes=geometry.bounding_boxes(frames, all(base.affine for base in bases)),
            frame_of=tuple(list(distinct).index(id(base)) for base in bases),
            affine=all(state.affine for state in states),
        )

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, rows: slice | Tensor) -> Numbers:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        tensors = {name: value[rows] for name, value in values.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **tensors)  # type: ignore[arg-type]
