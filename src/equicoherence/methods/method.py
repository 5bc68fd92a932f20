"""The interface of a joint-embedding method: losses on the features of student and teacher."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class MethodConfig:
    """Base of the settings of a method, which are a frozen dataclass."""


@dataclass(frozen=True)
class Encoded:
    """The features that one encoder gives to a method: V views of one size, C channels.

    summary: (V, B, C), one feature per view.
    tokens: (V, B, N, C), patch tokens; None if the method does not use them.
    masks: (V, B, N), True for masked tokens; only with masking.
    masked: (M,) long, the indices of masked tokens among all V * B * N tokens.
    weights: (M,), one over the number of masked tokens of their view, so that every masked view of a sample weighs 1.
    equivariant: (V, B, d_equi), the mean of z_equi; only for the student's global views of methods that receive theta.
    theta: (B, P), the parameters of the path between the views, all or those in ``views.told``, scaled to zero mean and
        unit variance over their range. For poses they are unscaled, or, if the method predicts them, scaled over the
        training pairs. Only for methods that receive theta.
    layer: (V, B, M, C'), patch tokens of the layer that the method reads, row by row.
    symmetries: (V, n) long, for methods with symmetries: the numbers (`paths.symmetries`) of the symmetries of the
        first n images in the student's views.
    """

    summary: Tensor
    tokens: Tensor | None = None
    masked: Tensor | None = None
    masks: Tensor | None = None
    weights: Tensor | None = None
    equivariant: Tensor | None = None
    theta: Tensor | None = None
    layer: Tensor | None = None
    symmetries: Tensor | None = None

    def summaries(self, crops: Encoded | None) -> Tensor:
        """Return the summaries (V + n, B, C) of these views, then those of ``crops``, if any."""
        return self.summary if crops is None else torch.cat([self.summary, crops.summary])

    def patches(self) -> Tensor:
        """Return the patch tokens (V * B * N, C) of all views, one after another; ValueError if there are none."""
        if self.tokens is None:
            raise ValueError("no patch tokens were kept: set reads_tokens = True in the method's class")
        return self.tokens.flatten(0, 2)

    def told(self) -> tuple[Tensor, Tensor]:
        """Return the means of z_equi (V, B, d_equi) and theta (B, P); ValueError if they were not given."""
        if self.equivariant is None or self.theta is None:
            raise ValueError("neither z_equi nor theta was given: set told = True in the method's class, and d_equi")
        return self.equivariant, self.theta


METHODS: dict[type[MethodConfig], type[Method]] = {}
"""Settings -> the method that is built from them."""


class Method(nn.Module, abc.ABC):
    """Abstract base: a head and a loss, built from the number of input channels and from the method's configuration.

    A method does not know the auxiliary task, and does not know the path unless it receives theta. Class attributes
    declare what it needs from training:

    - ``reads``: "z", the invariant part of a linear map of the patch tokens, whose summary is its mean [P2]; or
        "features", those of the encoder, whose summary is the class token if the encoder pools by it, else the mean of
        the patch tokens.
    - ``reads_tokens``: it also uses the patch tokens of global views.
    - ``any_widths``: summaries may have another number of channels than patch tokens.
    - ``has_teacher``: an EMA copy of the encoder (and of that linear map) encodes the global views too; it needs
        ``momentum``. The heads of the teacher belong to the method, which updates them in ``update``.
    - ``fixed_teacher``: the teacher stays as the encoder was at the start, with its normalisation statistics. The
        encoder must start from pretrained weights; the copy is kept during the run. See also ``taught``.
    - ``masks``: the student's global views may be masked.
    - ``crops``: it uses local crops.
    - ``splits_head``: its own head can be split; it is then built with a third argument ``d_equi`` and defines
        `equivariant`. Parameters of a layer named ``last_layer`` can be frozen at the start.
    - ``rotated_crops``: the local crops are one crop in four rotations.
    - ``told``: it receives theta, the parameters of the path between the views. These are labels of the transformation,
        so tables mark such methods. It replaces the auxiliary task and is built with a third argument ``theta_size``,
        the number P of parameters. If its configuration has ``d_equi``, that many features of z are equivariant.
    - ``compares_images``: its loss, or a layer of its head, compares the images of a batch, so a single image has no
        loss.
    - ``predicts_theta``: theta is a label that it predicts, with equal weight for all parameters, not an input of a
        predictor.
    - ``paired``: images 2i and 2i + 1 of a batch get the same augmentations and the same path.
    - ``symmetries``: both views of the first images of a batch (``config.share`` of it, at least two) are one crop in
        two symmetries of the square; the method receives their numbers. It replaces the auxiliary task.
    - ``reads_layer``: it also uses the patch tokens of the encoder's layer ``config.layer``, and is built with a third
        argument ``layer_width``, their channels. It replaces the auxiliary task.
    """

    reads: ClassVar[Literal["z", "features"]] = "z"
    reads_tokens: ClassVar[bool] = False
    any_widths: ClassVar[bool] = False
    has_teacher: ClassVar[bool] = False
    fixed_teacher: ClassVar[bool] = False
    masks: ClassVar[bool] = False
    crops: ClassVar[bool] = False
    splits_head: ClassVar[bool] = False
    rotated_crops: ClassVar[bool] = False
    told: ClassVar[bool] = False
    compares_images: ClassVar[bool] = True
    predicts_theta: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    symmetries: ClassVar[bool] = False
    reads_layer: ClassVar[bool] = False

    def __init_subclass__(cls, config: type[MethodConfig] | None = None, **more: object) -> None:
        """Register the method in ``METHODS``. config: the class of its settings; None for a base class of other
        methods.
        """
        super().__init_subclass__(**more)
        if config is not None:
            METHODS[config] = cls

    @abc.abstractmethod
    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return named scalar losses, already weighted.

        student: features of both global views, V = 2, masked if there are masks.
        teacher: features of the same views, or of the first ``taught`` of them, unmasked, without gradient; None if
            ``has_teacher`` is False.
        crops: the student's features of V local crops, or None.
        """

    def taught(self, upright: int) -> int:
        """Return how many of the global views the teacher encodes, counted from the first.

        upright: how many of them the path has not transformed: 1 or 2.
        """
        return 2

    def momentum(self, step: int, total_steps: int) -> float:
        """Return the weight of the old teacher in its update after 0-based ``step``, in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} has a teacher, so it must define momentum(step, total)")

    def update(self, step: int, total_steps: int) -> None:
        """Advance teacher heads and schedules; training calls it once after every optimiser step, counted from 0."""

    def watched(self) -> tuple[Tensor, int] | None:
        """Return (mean entropy of the teacher's rows, entropy of their mean), in nats, and the number of prototypes."""
        return None

    def equivariant(self, tokens: Tensor) -> Tensor:
        """Return z_equi (..., d_equi), the last outputs of the method's own head, for tokens (..., C)."""
        raise NotImplementedError(f"{type(self).__name__} has no head to split; use coherence.split linear")

    def embed(self, z_equi: Tensor) -> Tensor:
        """Return the embeddings (B, D) of z_equi (B, d_equi), the space of `predict`."""
        raise NotImplementedError(f"{type(self).__name__} has no predictor")

    def predict(self, embedding: Tensor, theta: Tensor) -> Tensor:
        """Return the predicted embedding (B, D) of view 2, from that of view 1 (B, D) and scaled theta (B, P)."""
        raise NotImplementedError(f"{type(self).__name__} has no predictor")
