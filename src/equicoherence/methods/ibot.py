"""iBOT: give masked patches the teacher's distribution over prototypes (Zhou et al., ICLR 2022)."""

from __future__ import annotations

from torch import Tensor

from equicoherence.methods.dino import cross_entropy


def masked_patch_loss(
    student_logits: Tensor, teacher_probabilities: Tensor, weights: Tensor, samples: int, temperature: float = 0.1
) -> Tensor:
    """Return the cross entropy of masked tokens (M, K): mean over each sample's, then over samples (paper, eq. 2).

    weights (M,): 1 / number of masked tokens of the token's sample. samples: all views the student may see masked,
    those of which no token is masked among them, as published by iBOT and DINOv2: they count as zero.
    """
    return (weights * cross_entropy(student_logits, teacher_probabilities, temperature)).sum() / samples
