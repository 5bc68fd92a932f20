"""The features of a batch of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Pool = Literal["mean", "cls", "head"]
POOLS: dict[Pool, str] = {
    "mean": "the mean of the patch tokens",
    "cls": "the class token",
    "head": "the output of timm's own head",
}


@dataclass(frozen=True)
class Features:
    """The features of a batch of images.

    cls: (B, C), or None for encoders without a class token.
    patches: (B, N, C), row by row.
    grid: (h, w), h * w = N.
    tapped: (B, M, C') patch tokens of each layer in ``layers``, with their grids.
    head: (B, C''), the output of timm's own head; None if that is only a mean or a class token.
    """

    cls: Tensor | None
    patches: Tensor
    grid: tuple[int, int]
    tapped: tuple[Tensor, ...] = ()
    tapped_grids: tuple[tuple[int, int], ...] = ()
    head: Tensor | None = None

    @property
    def tapped_grid(self) -> tuple[int, int]:
        """The grid of the first tapped layer, which z_equi has; that of the output if no layer is tapped."""
        return self.tapped_grids[0] if self.tapped_grids else self.grid

    def read(self, layers: int) -> list[tuple[Tensor, tuple[int, int]]]:
        """Return the tokens and the grid of each of the ``layers`` tapped layers; for 0, of the output.

        Raises ValueError if another number of layers is tapped: a head that reads layers must not read the output.
        """
        if layers == 0:
            return [(self.patches, self.grid)]
        if layers != len(self.tapped):
            raise ValueError(
                f"z_equi is read from {layers} of the encoder's layers, but these features have {len(self.tapped)} of "
                "them: encode the images with the encoder that has these layers"
            )
        return list(zip(self.tapped, self.tapped_grids, strict=True))

    def rows(self, *wanted: slice) -> Features:
        """Return the features of some slices of the batch, one after another."""

        def taken(value: Tensor | None) -> Tensor | None:
            if value is None:
                return None
            parts = [value[rows] for rows in wanted]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        patches = taken(self.patches)
        assert patches is not None
        tapped = tuple(part for layer in self.tapped if (part := taken(layer)) is not None)
        return Features(taken(self.cls), patches, self.grid, tapped, self.tapped_grids, taken(self.head))

    def pooled(self, pool: Pool = "mean") -> Tensor:
        """Return (B, C): the mean of the patch tokens, the class token, or the output of timm's own head."""
        if pool == "mean":
            return self.patches.mean(dim=1)
        if pool == "head":
            if self.head is None:
                raise ValueError("pool 'head' needs an encoder that timm pools by more than a mean; use its own pool")
            return self.head
        if self.cls is None:
            raise ValueError("pool 'cls' needs an encoder with a class token; use pool 'mean'")
        return self.cls
