"""No invariant loss: the auxiliary task alone trains."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from equicoherence.methods.method import Encoded, Method, MethodConfig


@dataclass(frozen=True)
class AloneConfig(MethodConfig):
    """It has no settings."""


class Alone(Method, config=AloneConfig):
    """No method: for an encoder that is frozen, of which a head learns from the task (``encoder.train head``)."""

    reads = "features"
    compares_images = False
    config: AloneConfig

    def __init__(self, width: int, config: AloneConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return no loss."""
        return {}
