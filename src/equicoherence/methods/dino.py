"""DINO: agree with the teacher on a distribution over prototypes (Caron et al., ICCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.methods.schedules import warmup_linear
from equicoherence.methods.targets import Centring, Targets
from equicoherence.methods.teacher import cosine_momentum, ema_update, frozen_copy
from equicoherence.models.heads import ClassPatchHead, PrototypeHead


@dataclass(frozen=True)
class DINOConfig(MethodConfig):
    """DINO's head, softmaxes and teacher; as published but for prototypes, 65,536 there, 8192 here.

    Args:
        prototypes: Outputs of the head, including the equivariant ones of a split head [P2].
        hidden: Width of the hidden layers of the head.
        bottleneck: Width of the layer before the prototypes.
        centring: How the teacher's outputs are centred, see `Targets`.
        centre_momentum: Momentum of the running centre of the teacher's outputs.
        student_temperature: Temperature of the student's softmax.
        teacher_temperature: Temperature of the teacher's softmax, linearly from the first to the second value over
            temperature_warmup.
        temperature_warmup: Share of all steps in which teacher_temperature changes: as published over 30 epochs, a
            tenth of 300.
        momentum: Momentum of the teacher at the start; it rises to 1 by half a cosine.
        norm_last_layer: Whether prototypes keep length 1 (see `PrototypeHead`), as by default in DINO and iBOT,
            whose published ViT-S train the lengths; DINOv2 trains them always.
    """

    prototypes: int = 8192
    hidden: int = 2048
    bottleneck: int = 256
    centring: Centring = "ema"
    centre_momentum: float = 0.9
    student_temperature: float = 0.1
    teacher_temperature: tuple[float, float] = (0.04, 0.07)
    temperature_warmup: float = 0.1
    momentum: float = 0.996
    norm_last_layer: bool = True


class DINO(Method, config=DINOConfig):
    """DINO on the summaries of global views and local crops; the teacher's momentum rises to 1 by half a cosine.

    The last ``d_equi`` outputs of the head are for the task; the softmax is over the others [P2].
    """

    reads = "features"
    has_teacher = True
    crops = True
    splits_head = True
    compares_images = False
    temperature: Tensor

    def __init__(self, width: int, config: DINOConfig, d_equi: int = 0) -> None:
        super().__init__()
        self.config = config
        self.head = self._build_head(width, d_equi)
        self.teacher = frozen_copy(self.head)
        self.targets = Targets(config.prototypes - d_equi, config.centring, config.centre_momentum)
        start, end = config.teacher_temperature
        self.register_buffer("temperature", torch.tensor(start if config.temperature_warmup > 0 else end))

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the cross entropy of each view for the teacher's of the other, of crops for both (paper, eq. 3)."""
        assert teacher is not None
        logits = self.head(student.summaries(crops))
        with torch.no_grad():
            teacher_logits = self.teacher(teacher.summary)
        return {"class": self._class_loss(logits, teacher_logits)}

    def momentum(self, step: int, total_steps: int) -> float:
        """Return the weight of the old teacher in its update after 0-based ``step``."""
        return cosine_momentum(self.config.momentum, step, total_steps)

    def update(self, step: int, total_steps: int) -> None:
        """Update the teacher's head, and set its temperature for the next step."""
        ema_update(self.teacher, self.head, self.momentum(step, total_steps))
        warmup = round(self.config.temperature_warmup * total_steps)
        self.temperature.fill_(warmup_linear(*self.config.teacher_temperature, step + 1, warmup))

    def watched(self) -> tuple[Tensor, int]:
        """Return entropies of the teacher's last class targets, and the number of prototypes."""
        return self.targets.watched, self.targets.prototypes

    def equivariant(self, tokens: Tensor) -> Tensor:
        """Return the last ``d_equi`` outputs of the head, (..., d_equi), of tokens (..., C)."""
        return self.head.equivariant(tokens)

    def _build_head(self, width: int, d_equi: int) -> PrototypeHead | ClassPatchHead:
        return prototype_head(width, self.config, d_equi)

    def _class_loss(self, logits: Tensor, teacher_logits: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            targets = self.targets(teacher_logits, self.temperature)
            return dino_loss(logits.float(), targets, self.config.student_temperature)


def prototype_head(width: int, config: DINOConfig, d_equi: int) -> PrototypeHead:
    """Return a head of ``config.prototypes`` outputs, the last ``d_equi`` of them equivariant."""
    prototypes = config.prototypes - d_equi
    if prototypes < 1:
        raise ValueError(f"d_equi {d_equi} leaves none of the head's {config.prototypes} outputs to the softmax")
    return PrototypeHead(width, config.hidden, config.bottleneck, prototypes, d_equi, unit=config.norm_last_layer)


def cross_entropy(student_logits: Tensor, teacher_probabilities: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the cross entropy (...) of the student's softmax, of logits (..., K), for the teacher's probabilities."""
    return -(teacher_probabilities * F.log_softmax(student_logits / temperature, dim=-1)).sum(dim=-1)


def dino_loss(student_logits: Tensor, teacher_probabilities: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the mean cross entropy over pairs of a teacher view and another student view (paper, eq. 3).

    Student (V, B, K), the teacher's T views first, then local crops; teacher (T, B, K), T = 2 as published.
    """
    views, teachers = len(student_logits), len(teacher_probabilities)
    log_student = F.log_softmax(student_logits / temperature, dim=-1)
    others = log_student.sum(dim=0) - log_student[:teachers]  # the teacher is the same for all: sum them first
    return -(teacher_probabilities * others).sum(dim=-1).mean() / (views - 1)
