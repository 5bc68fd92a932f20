"""The learner: encoder, split head, method, teacher and task in one module, whose forward returns the losses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn

from equicoherence.coherence import CoherenceTask, CoherenceTasks, ThetaRegression
from equicoherence.methods import Encoded, Method
from equicoherence.methods.teacher import ema_update, frozen_copy, teacher_mode
from equicoherence.models import Encoder, Features, SplitHead
from equicoherence.models.features import Pool
from equicoherence.models.trained import trained_parameters
from equicoherence.paths import Views
from equicoherence.paths.masks import Masks


@dataclass(frozen=True)
class LearnerOutput:
    """The output of a `Learner`.

    losses: named scalars, weighted; their sum is trained.
    pooled: detached vectors of the method's two views ("invariant", (2B, d); not if `Learner.layers_only`) and of the
        task's z_equi ("equivariant", two for each sample with the task).
    decoded: (B, T, C, S, S) in [0, 1], or None.
    parts: named parts of the losses, weighted and detached, for the metrics.
    """

    losses: dict[str, Tensor]
    pooled: dict[str, Tensor]
    decoded: Tensor | None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Learner(nn.Module):
    """The module that DDP or FSDP wraps: one forward pass of views gives all losses.

    For a method with a teacher it has an EMA copy of the encoder and of the invariant part of the head; or a fixed
    copy, which is not needed if the encoder is frozen. For a method that receives theta, ``standard`` transforms theta;
    None passes it unchanged.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: SplitHead,
        method: Method,
        task: CoherenceTask | CoherenceTasks | ThetaRegression | None = None,
        weight: float = 1.0,
        standard: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.method, self.task, self.weight = encoder, head, method, task, weight
        self.standard = standard or nn.Identity()
        copied = [encoder] if head.invariant is None else [encoder, head.invariant]
        teaches = method.has_teacher and not (method.fixed_teacher and not trained_parameters(encoder))
        self.teacher = nn.ModuleList(frozen_copy(part) for part in copied) if teaches else None
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts except the teacher, which never uses dropout."""
        super().train(mode)
        if self.teacher is not None:
            teacher_mode(self.teacher, mode and not self.method.fixed_teacher)
        return self

    @property
    def class_only(self) -> bool:
        """Whether the method reads only the class token."""
        return self.summary == "cls" and not self.method.reads_tokens

    @property
    def layers_only(self) -> bool:
        """Whether nothing reads the encoder's output: the task reads earlier layers, and the encoder is frozen, so that
        the method has no loss."""
        return bool(self.encoder.layers) and self.method.fixed_teacher and self.teacher is None

    @property
    def summary(self) -> Pool:
        """The summary of a view for the method: the mean of mapped patch tokens, or the image representation."""
        return self.encoder.pool if self.method.reads == "features" else "mean"

    @property
    def pool(self) -> Pool:
        """The pooling of the backbone: that of the encoder, unless it is not trained here."""
        return self.encoder.pool if self.encoder.read == "tokens" else self.summary

    def split(self, features: Features) -> tuple[Tensor | None, Tensor | None]:
        """Return z_inv and z_equi (B, N, .) of features; None for a part that does not exist."""
        z_inv, z_equi = self.head(features)
        if self.task is not None and z_equi is None:
            z_equi = self.method.equivariant(features.patches)
        return z_inv, z_equi

    def forward(self, views: Views) -> LearnerOutput:
        """Encode the global views in one pass and local crops in another; return the losses of method and task.

        The method reads v1 and v2, or v1 and u if the views have u; the task reads v1 and v2. Samples with the task
        alone are no part of the method's batch. A teacher encodes the method's views, or only the first of them.
        """
        images, masks = torch.cat(views.invariant), views.masks
        features = self.encoder(
            images if views.base is None else torch.cat([images, views.v1[: views.task_only], views.v2]),
            None if masks is None else self._token_masks(masks, views),
            class_only=self.class_only and self.task is None,
            layers_only=self.layers_only,
        )
        losses, pooled = ({}, {}) if self.layers_only else self._method_losses(images, features, views)
        if self.task is None:
            return LearnerOutput(losses, pooled, None)
        z_equi = self._task_tokens(features, views)
        output = self.task(*z_equi.chunk(2), views)
        losses["reconstruction"] = self.weight * output.loss
        pooled["equivariant"] = z_equi.detach().mean(dim=1)
        parts = {f"reconstruction_{name}": self.weight * part.detach() for name, part in output.parts.items()}
        return LearnerOutput(losses, pooled, output.decoded, parts)

    def update(self, step: int, total_steps: int) -> None:
        """Update the teacher and the method's schedules after the optimiser step ``step``, counted from 0."""
        if self.teacher is not None and not self.method.fixed_teacher:
            momentum = self.method.momentum(step, total_steps)
            for own, student in zip(self.teacher, (self.encoder, self.head.invariant)):
                assert student is not None
                ema_update(own, student, momentum)
        self.method.update(step, total_steps)

    def _method_losses(
        self, images: Tensor, features: Features, views: Views
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the losses of the method, and the pooled vectors of `LearnerOutput`, of its two views ``images``."""
        invariant = features if views.base is None else features.rows(slice(len(images)))
        student = self._encoded(invariant, self.head.invariant, 2, views.masks)
        pooled = {"invariant": student.summary.detach().flatten(0, 1)}
        if self.method.told:
            student = self._tell(student, features, views.theta)
            if student.equivariant is not None:
                pooled["equivariant"] = student.equivariant.detach().flatten(0, 1)
        if views.symmetries is not None:
            student = dataclasses.replace(student, symmetries=views.symmetries)
        losses = self.method(student, self._teach(images, views.upright), self._local(views.crops))
        return losses, pooled

    def _token_masks(self, masks: Masks, views: Views) -> Tensor:
        """Return the masks of all encoded views (., N): those that the method does not read have none."""
        tokens = masks.tokens.flatten(0, 1)
        if views.base is None:
            return tokens
        return torch.cat([tokens, tokens.new_zeros(views.task_only + len(views.v2), tokens.shape[1])])

    def _task_tokens(self, features: Features, views: Views) -> Tensor:
        """Return z_equi (2 n, N, d_equi) of v1, then of v2, of the n samples that have the task."""
        count, whole = len(views.targets), len(views.v1)
        read = 0 if views.base is None else 2 * len(views.base)  # images of the method
        begin = read if views.task_only else 0  # of view 1
        second = read + views.task_only if read else whole
        rows = [slice(begin, begin + count), slice(second, second + count)]
        if begin + count == second:
            rows = [slice(begin, second + count)]
        every = count == whole and views.base is None
        features = features if every else features.rows(*rows)
        z_equi = self.head.z_equi(features)
        if z_equi is None:
            z_equi = self.method.equivariant(features.patches)
        if views.masks is None:
            return z_equi
        tokens = self._token_masks(views.masks, views)
        return drop_masked(z_equi, tokens if every else torch.cat([tokens[part] for part in rows]))

    @torch.no_grad()
    def _teach(self, images: Tensor, upright: int) -> Encoded | None:
        """Return the teacher's features of the method's two views, or of the first only."""
        if self.teacher is None:
            return None
        encoder, *invariant = self.teacher
        views = self.method.taught(upright)
        features = encoder(images[: len(images) // 2 * views], class_only=self.class_only)
        return self._encoded(features, invariant[0] if invariant else None, views)

    def _local(self, crops: Tensor | None) -> Encoded | None:
        if crops is None:
            return None
        features = self.encoder(crops.flatten(0, 1), class_only=self.summary == "cls")
        return self._encoded(features, self.head.invariant, len(crops))

    def _tell(self, student: Encoded, features: Features, theta: Tensor) -> Encoded:
        """Add theta and, if there is a z_equi, its means."""
        mean = Features(None, features.pooled("mean")[:, None], (1, 1))
        z_equi = self.head.z_equi(mean)  # linear: of the mean of the tokens it is the mean of z_equi
        z_equi = None if z_equi is None else z_equi[:, 0].unflatten(0, (2, -1))
        return dataclasses.replace(student, equivariant=z_equi, theta=self.standard(theta))

    def _encoded(
        self, features: Features, invariant: nn.Module | None, views: int, masks: Masks | None = None
    ) -> Encoded:
        """Gather what the method reads, of ``views`` views one after another."""
        summary, tokens, layer = features.pooled(self.summary), None, None
        if invariant is not None:
            summary = invariant(summary)  # linear: the mean of z_inv
        if self.method.reads_tokens:
            tokens = features.patches if invariant is None else invariant(features.patches)
            tokens = tokens.unflatten(0, (views, -1))
        if self.method.reads_layer:
            layer = features.tapped[0].unflatten(0, (views, -1))
        summary = summary.unflatten(0, (views, -1))
        if masks is None:
            return Encoded(summary, tokens, layer=layer)
        return Encoded(summary, tokens, masks.indices, masks.tokens, masks.weights, layer=layer)


def drop_masked(tokens: Tensor, masks: Tensor) -> Tensor:
    """Drop masked tokens (B, N, C) as dropout does: masked ones, True in (B, N), are 0, and the others are scaled.

    The scale N / (number of the others) makes the mean over all tokens the mean over the unmasked ones.
    """
    kept = (~masks).float()
    scale = kept / kept.mean(dim=1, keepdim=True).clamp_min(1 / masks.shape[1])
    return (tokens * scale[..., None]).to(tokens.dtype)
