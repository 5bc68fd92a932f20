"""What a joint-embedding method is: losses of the invariant features of the views."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from torch import Tensor, nn


class Method(nn.Module, abc.ABC):
    """Abstract base: a head and a loss over the invariant tokens of the views.

    A method knows neither the path nor the auxiliary task. It is built from ``d_inv`` and its own configuration.
    """

    @abc.abstractmethod
    def forward(self, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return named scalar losses, already weighted, from the invariant tokens (B, N, d_inv) of each view."""

    def update(self, step: int, total_steps: int) -> None:
        """Advance teachers and schedules; training calls it once after every optimiser step. Nothing by default."""
