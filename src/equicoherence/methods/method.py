"""What a joint-embedding method is: losses of what the student and the teacher say of the views."""

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
    """What one encoder says of V views of one size, C features each, of what the method reads.

    summary: (V, B, C), what stands for a whole view. tokens: (V, B, N, C), patch tokens; None where the method says
    that it does not read them. Where tokens were masked, masks: (V, B, N), True there; masked: (M,) long, their places
    among all V * B * N tokens; weights: (M,), one over the masked tokens of their view, so that every masked view of a
    sample weighs 1. For methods that are told theta, and no others, the student's global views also have equivariant:
    (V, B, d_equi), the mean of z_equi, None where there is none; theta: (B, P), the parameters of the path between
    them, all or those that are told, scaled to zero mean and unit variance of their range; for poses as they are, or
    where the method predicts them, scaled to those of the pairs of training.
    Global views of methods that read a layer have layer: (V, B, M, C'), its patch tokens, row by row; the student's of
    methods that see symmetries have symmetries: (V, n) long, the numbers (`paths.symmetries`) of those that the first n
    images are shown in.
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
        """Return the patch tokens (V * B * N, C) of all views, one after another; ValueError where there are none."""
        if self.tokens is None:
            raise ValueError("no patch tokens were kept: set reads_tokens = True in the method's class")
        return self.tokens.flatten(0, 2)

    def told(self) -> tuple[Tensor, Tensor]:
        """Return the means of z_equi (V, B, d_equi) and theta (B, P); ValueError where they were not given."""
        if self.equivariant is None or self.theta is None:
            raise ValueError("neither z_equi nor theta was given: set told = True in the method's class, and d_equi")
        return self.equivariant, self.theta


METHODS: dict[type[MethodConfig], type[Method]] = {}
"""Settings -> the method that is built from them."""


class Method(nn.Module, abc.ABC):
    """Abstract base: a head and a loss, built from the width of what it reads and from its own configuration.

    A method knows nothing of the auxiliary task, nor, unless it is told, of the path. Its class says what training has
    to give it:

    reads: "z", the invariant part of a linear map of the patch tokens, summarised by its mean [P2]; "features", the
    encoder's own, summarised by the class token where the encoder pools by it, else by the mean of the patch tokens.
    reads_tokens: it reads patch tokens of the global views too, not their summaries alone.
    any_widths: the summaries may have other channels than the patch tokens.
    has_teacher: an EMA copy of the encoder (and of that linear map) encodes the global views too; then ``momentum`` is
    needed. A teacher's heads belong to the method, which moves them in ``update``. fixed_teacher: the teacher stays
    what the encoder was at the start, of weights that exist, with the statistics of its norms; it is kept for as long
    as the run trains. See also ``taught``. masks: the student's global views
    may be masked. crops: it reads local crops. splits_head: its own head can be split; it is then built with a third
    argument ``d_equi`` and gives `equivariant`. Parameters of a layer named ``last_layer`` can be frozen to begin with.
    rotated_crops: the local crops are one crop in four rotations.
    told: it is told theta, the parameters of the path between the views, which are labels of the transformation: tables
    mark such methods. It replaces the auxiliary task, is built with a third argument ``theta_size``, the number P of
    parameters, and where its configuration has ``d_equi``, so many features of z are equivariant.
    compares_images: its loss, or a layer of its head, compares the images of a batch, so that one alone has none.
    predicts_theta: theta is a label that it predicts, each parameter with the same weight, no input of a predictor.
    paired: images 2i and 2i + 1 of a batch are transformed alike: same augmentations, same path.
    symmetries: both views of the first images of a batch, ``config.share`` of it, two at least, are one crop in two
    symmetries of the square, whose numbers it gets. It replaces the auxiliary task.
    reads_layer: it reads the patch tokens of the encoder's layer ``config.layer`` too, and is built with a third
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
        """Note the method in ``METHODS``. config: the class of its settings; None for a base of other methods."""
        super().__init_subclass__(**more)
        if config is not None:
            METHODS[config] = cls

    @abc.abstractmethod
    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return named scalar losses, already weighted.

        student: of both global views, V = 2, masked where there are masks. teacher: of the same views, or the first
        ``taught`` of them, unmasked, without gradient; None where ``has_teacher`` is False. crops: the student's of V
        local crops, or None.
        """

    def taught(self, upright: int) -> int:
        """Return how many of the global views, the first ones, the teacher encodes.

        upright: of how many of them the path has transformed none: 1 or 2.
        """
        return 2

    def momentum(self, step: int, total_steps: int) -> float:
        """Return how much of the teacher remains after 0-based ``step``, in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} has a teacher, so it must define momentum(step, total)")

    def update(self, step: int, total_steps: int) -> None:
        """Advance teacher heads and schedules; training calls it once after every optimiser step, counted from 0."""

    def watched(self) -> tuple[Tensor, int] | None:
        """Return (mean entropy of the teacher's rows, entropy of their mean), in nats, and the number of prototypes."""
        return None

    def equivariant(self, tokens: Tensor) -> Tensor:
        """Return z_equi (..., d_equi), the last outputs of the method's own head, of tokens (..., C)."""
        raise NotImplementedError(f"{type(self).__name__} has no head to split; use coherence.split linear")

    def embed(self, z_equi: Tensor) -> Tensor:
        """Return the embeddings (B, D) of z_equi (B, d_equi) among which `predict` is right or wrong."""
        raise NotImplementedError(f"{type(self).__name__} has no predictor")

    def predict(self, embedding: Tensor, theta: Tensor) -> Tensor:
        """Return the embedding (B, D) expected of view 2, from that of view 1 (B, D) and theta (B, P), scaled."""
        raise NotImplementedError(f"{type(self).__name__} has no predictor")
