"""A batch of views: the input of one training step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.masks import Masks


@dataclass(frozen=True)
class Views:
    """The views of a batch, float32 in [0, 1].

    v1, v2: (B, C, S, S).
    targets: (B, T, C, S, S), states on the path of view 2.
    positions: T numbers in [0, 1], the position of each target on the path.
    theta: (B, P), the parameters of the path; used only by the oracle, and by methods that declare that they receive
        it.
    crops: (n, B, C, s, s), local crops of multi-crop, of the samples that have the invariant loss.
    base: (B, C, S, S), the image u at the start of the path, if the invariant loss is taken on v1 and u; of the last
        samples alone, if only these have the invariant loss; None if it is taken on v1 and v2.
    masks: patch tokens to mask in the two views of the invariant loss, of the samples that have it.
    times: (B, T), the position of each target of each image on the path: ``positions``, or random ones.
    symmetries: (2, n) long, the numbers of the symmetries in which these two views show the first n images; None
        without.

    If the task has a share of the batch, only its first samples have targets, and, with base, a v2.
    """

    v1: Tensor
    v2: Tensor
    targets: Tensor
    positions: tuple[float, ...]
    theta: Tensor
    crops: Tensor | None = None
    masks: Masks | None = None
    base: Tensor | None = None
    times: Tensor = field(default=None)  # type: ignore[assignment]
    symmetries: Tensor | None = None

    def __post_init__(self) -> None:
        """Put the targets at the positions where nothing else is said."""
        if self.times is None:
            times = constant(self.positions, self.targets.device).expand(len(self.targets), -1)
            object.__setattr__(self, "times", times)

    @property
    def invariant(self) -> tuple[Tensor, Tensor]:
        """The two views (B, C, S, S) of the invariant loss: v1 and u if there is a base, else v1 and v2."""
        return (self.v1, self.v2) if self.base is None else (self.v1[self.task_only :], self.base)

    @property
    def task_only(self) -> int:
        """How many samples, the first ones, have the task and no invariant loss."""
        return 0 if self.base is None else len(self.v1) - len(self.base)

    @property
    def upright(self) -> int:
        """How many of the two views of the invariant loss the path has not transformed, counted from the first."""
        return 2 if self.base is not None or not self.theta.shape[1] else 1

    def of_positions(self, columns: Sequence[int]) -> Views:
        """Return the views with only the targets at the positions ``columns``, increasing indices from 0."""
        if len(columns) == len(self.positions):
            return self
        begin, end = (columns[0], columns[-1] + 1) if columns else (0, 0)
        adjoining = end - begin == len(columns)  # then no copy is made

        def chosen(values: Tensor) -> Tensor:
            return values[:, begin:end] if adjoining else torch.stack([values[:, column] for column in columns], dim=1)

        positions = tuple(self.positions[column] for column in columns)
        return dataclasses.replace(self, targets=chosen(self.targets), positions=positions, times=chosen(self.times))

    def first(self, count: int) -> Views:
        """Return the input of the task for the first ``count`` samples: v1, v2, targets and theta."""
        if count == len(self.v1) == len(self.v2) == len(self.targets):
            return self
        cut = (self.v1[:count], self.v2[:count], self.targets[:count])
        return Views(*cut, self.positions, self.theta[:count], times=self.times[:count])


def share_of(batch: int, share: float) -> int:
    """Return the number of samples in a share of a batch, in (0, 1]: rounded up, and at least one if there is one."""
    return min(batch, max(1, math.ceil(round(share * batch, 6))))
