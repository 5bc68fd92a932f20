"""Anchor: keep a pretrained encoder near its start, by the distance of its features to those of a frozen copy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.method import Encoded, Method, MethodConfig


@dataclass(frozen=True)
class AnchorConfig(MethodConfig):
    """How strongly the encoder is kept near its start, and on which views.

    Args:
        weight: Weight of the distance of the image representation: class token or pooled feature.
        tokens: Weight of the mean distance of the patch tokens.
        transformed: Also use the view that the path transformed.
    """

    weight: float = 1.0
    tokens: float = 1.0
    transformed: bool = False

    def __post_init__(self) -> None:
        """Refuse a negative weight, quoting it."""
        for name in ("weight", "tokens"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"method.{name} must be 0 or more, got {getattr(self, name)}")


class Anchor(Method, config=AnchorConfig):
    """1 - cosine of the features of an encoder and of its frozen copy, on views that the path has not transformed.

    It has no head and no parameters of its own. Alone, without the auxiliary task, it does not change the encoder.
    """

    reads = "features"
    reads_tokens = True
    any_widths = True
    has_teacher = True
    fixed_teacher = True
    compares_images = False

    def __init__(self, width: int, config: AnchorConfig) -> None:
        super().__init__()
        self.config = config

    def taught(self, upright: int) -> int:
        """Return how many of the global views the frozen copy encodes, counted from the first."""
        return 2 if self.config.transformed else upright

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the distances of the summaries and of the patch tokens, on the views that the teacher encoded.

        Without a teacher there is no loss.
        """
        if teacher is None:  # the encoder is frozen
            return {}
        assert student.tokens is not None
        assert teacher.tokens is not None
        count = len(teacher.summary)
        return {
            "anchor": self.config.weight * cosine_distance(student.summary[:count], teacher.summary),
            "anchor_tokens": self.config.tokens * cosine_distance(student.tokens[:count], teacher.tokens),
        }


def cosine_distance(features: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean of 1 - cosine of the rows of two (..., C), in [0, 2], computed in float32."""
    with torch.autocast(features.device.type, enabled=False):
        return 1 - F.cosine_similarity(features.float(), wanted.float(), dim=-1).mean()
