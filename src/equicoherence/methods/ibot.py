"""iBOT: DINO, and masked patches get the teacher's distribution over prototypes (Zhou et al., ICLR 2022)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from equicoherence.methods.dino import DINO, DINOConfig, cross_entropy, prototype_head
from equicoherence.methods.method import Encoded
from equicoherence.methods.targets import Targets
from equicoherence.models.heads import ClassPatchHead


@dataclass(frozen=True)
class IBOTConfig(DINOConfig):
    """DINO's settings, 8192 prototypes as published; and those of the patch loss.

    Args:
        patch: Weight of the patch loss, 1 as published; the class loss has weight 1.
        shared_head: Whether patches use the head of the class token, as published; else a separate head, which
            is then the one that is split.
    """

    patch: float = 1.0
    shared_head: bool = True


class IBOT(DINO, config=IBOTConfig):
    """iBOT on the summaries of all views and the masked patch tokens of global views.

    Only masked tokens go through the heads, so the teacher's patch centre is averaged over those only (as in DINOv2;
    iBOT averages over all patches). It is separate from the class centre; the temperatures are shared, as published.
    """

    reads_tokens = True
    masks = True
    config: IBOTConfig

    def __init__(self, width: int, config: IBOTConfig, d_equi: int = 0) -> None:
        super().__init__(width, config, d_equi)
        self.patch_targets = Targets(config.prototypes - d_equi, config.centring, config.centre_momentum)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return DINO's loss, with the student's global views masked, and that of masked patches, 0 without any."""
        assert teacher is not None
        masked, weights = student.masked, student.weights
        if masked is None or weights is None:  # no tokens, but heads and encoder are still on the way to the loss
            masked, weights = student.summary.new_empty(0, dtype=torch.long), student.summary.new_empty(0)
        tokens, teacher_tokens = (view.patches().index_select(0, masked) for view in (student, teacher))
        class_logits, patch_logits = self.head(student.summaries(crops), tokens)
        with torch.no_grad():
            teacher_class_logits, teacher_patch_logits = self.teacher(teacher.summary, teacher_tokens)
        return {
            "class": self._class_loss(class_logits, teacher_class_logits),
            "patch": self._patch_loss(patch_logits, teacher_patch_logits, weights, student.summary[..., 0].numel()),
        }

    def _build_head(self, width: int, d_equi: int) -> ClassPatchHead:
        own = replace(self.config, prototypes=self.config.prototypes - d_equi)
        patch = prototype_head(width, self.config, d_equi)
        return ClassPatchHead(patch, None if self.config.shared_head else prototype_head(width, own, 0))

    def _patch_loss(self, logits: Tensor, teacher_logits: Tensor, weights: Tensor, samples: int) -> Tensor:
        targets = self.patch_targets(teacher_logits, self.temperature)
        with torch.autocast(logits.device.type, enabled=False):
            temperature = self.config.student_temperature
            return self.config.patch * masked_patch_loss(logits.float(), targets, weights, samples, temperature)


def masked_patch_loss(
    student_logits: Tensor, teacher_probabilities: Tensor, weights: Tensor, samples: int, temperature: float = 0.1
) -> Tensor:
    """Return the cross entropy of masked tokens (M, K): mean over each sample's, then over samples (paper, eq. 2).

    weights (M,): 1 / number of masked tokens of the token's sample. samples: all views the student may see masked,
    those of which no token is masked among them, as published by iBOT and DINOv2: they count as zero.
    """
    return (weights * cross_entropy(student_logits, teacher_probabilities, temperature)).sum() / samples
