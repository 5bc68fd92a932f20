"""A representation of a run in place of its encoder's output, so that tasks on patch tokens can be scored on it."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from torch import Tensor, nn

from equicoherence.downstream.tokens import resizable
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.module import as_frozen
from equicoherence.models import Features, SplitHead
from equicoherence.models.joined import joined
from equicoherence.models.token_maps import on_grid

Read = Literal["backbone", "z_equi", "joined"]


def with_representation(model: FrozenModel, read: Read) -> FrozenModel:
    """Return a model whose patch tokens are those of a representation of a run; its name says so.

    model: a run that computes z_equi.
    read: see `Representation`.

    There is no class token, and random weights are not scored beside it. Raises ValueError for a model without z_equi,
    and for another ``read``.
    """
    if read not in get_args(Read):
        raise ValueError(f"read is {read!r}: choose one of {', '.join(get_args(Read))}")
    if model.head is None or (isinstance(model.head, SplitHead) and model.head.equivariant is None):
        raise ValueError(f"{model.name} computes no z_equi: give a run that has one")
    made = as_frozen(Representation(model, read), size=model.size, name=f"{model.name}, {read}")
    made.encoder.args |= {"read": read}  # which scores in a folder are told apart by
    return dataclasses.replace(made, source=model.source, has_random_control=False)


class Representation(nn.Module):
    """Patch tokens of a representation of a run, on the grid of z_equi's tokens, for images of any size.

    read: ``z_equi``; ``backbone``, the tokens of the encoder's output, upsampled bilinearly where z_equi has more of
        them; ``joined``, both as in `joined`, token by token.
    """

    def __init__(self, model: FrozenModel, read: Read) -> None:
        super().__init__()
        self.encoder, self.head, self.read = resizable(model.encoder), model.head, read

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C, h, w) of images (B, 3, H, W) in [0, 1]."""
        features = self.encoder(images)
        z_equi = self.head(features)[1]  # type: ignore[misc]
        z_equi = z_equi.transpose(1, 2).unflatten(2, features.tapped_grid)
        if self.read == "z_equi":
            return z_equi
        backbone = output_map(features)
        return backbone if self.read == "backbone" else joined_maps(backbone, z_equi)


def output_map(features: Features) -> Tensor:
    """Return the tokens of the output as (B, C, h, w), upsampled bilinearly to the grid that z_equi has."""
    return on_grid(features.patches.transpose(1, 2).unflatten(2, features.grid), features.tapped_grid)


def joined_maps(backbone: Tensor, other: Tensor) -> Tensor:
    """Return `joined` of two maps (B, C, h, w) and (B, D, h, w), token by token: (B, C + D, h, w)."""
    batch, _, height, width = backbone.shape
    rows = [part.permute(0, 2, 3, 1).flatten(0, 2) for part in (backbone, other)]
    return joined(*rows).view(batch, height, width, -1).permute(0, 3, 1, 2)
