"""A copy of a head over a frozen encoder, by which a run is measured while it trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.methods.teacher import frozen_copy
from equicoherence.models import Encoder, Features, SplitHead
from equicoherence.models.features import Pool
from equicoherence.models.joined import joined

OF_HEAD = "head."
BATCH = 64
ROOM = 256 * 2**20  # bytes of features that are kept, at most


@dataclass(frozen=True)
class ReadFeatures:
    """What is read of an encoder's features. pooled: (B, C). of_head: what the head reads."""

    pooled: Tensor
    of_head: Features

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that is kept."""
        return (self.pooled, self.of_head.patches, *self.of_head.tapped)


class HeadCopy:
    """A copy in evaluation mode, without gradients, of what a frozen encoder and its head give.

    The encoder does not change, so it reads each image once while there is room for its features.

    encoder, head: as the run starts.
    pool: the image representation.
    bfloat16: whether products are in bfloat16.
    room: bytes of features that are kept, at most; views whose features need more are encoded each time.
    """

    def __init__(self, encoder: Encoder, head: SplitHead, pool: Pool, *, bfloat16: bool, room: int = ROOM) -> None:
        self.encoder, self.head = frozen_copy(encoder).eval(), frozen_copy(head).eval()
        self.pool, self.bfloat16, self.room = pool, bfloat16, room

    @property
    def device(self) -> torch.device:
        """Where images are to be."""
        return self.encoder.mean.device

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take the head's of a learner's ``weights``."""
        self.head.load_state_dict({k.removeprefix(OF_HEAD): v for k, v in weights.items() if k.startswith(OF_HEAD)})

    def prepare(self, views: Tensor) -> Tensor | Sequence[ReadFeatures]:
        """Return what `representations` reads of views (N, C, S, S), uint8: features, or these if there is no room."""
        kept, used = [], 0
        for part in views.split(BATCH):
            kept.append(self._encode(part, torch.device("cpu")))
            used += sum(tensor.nbytes for tensor in kept[-1].tensors)
            if used * len(views) > self.room * sum(len(each.pooled) for each in kept):
                return views
        self.room -= used
        return kept

    @torch.no_grad()
    def representations(self, prepared: Tensor | Sequence[ReadFeatures]) -> dict[str, Tensor]:
        """Return what stands for views (N, C'), by its name: z_equi and joined, [features | z_equi]; on the CPU."""
        parts: Iterable[ReadFeatures] = (
            prepared if not isinstance(prepared, Tensor) else map(self._encode, prepared.split(BATCH))
        )
        z_equi, both = zip(*map(self._read, parts))
        return {"z_equi": torch.cat(z_equi), "joined": torch.cat(both)}

    @torch.no_grad()
    def _encode(self, views: Tensor, place: torch.device | None = None) -> ReadFeatures:
        """Return the features of views, uint8, at a place; None for where they are computed."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            features = self.encoder(views.to(self.device).float() / 255)
        place = place or self.device
        patches = features.patches[:, :0].clone() if features.tapped else features.patches
        read = Features(
            None,
            patches.to(place),
            features.grid,
            tuple(layer.to(place) for layer in features.tapped),
            features.tapped_grids,
        )
        return ReadFeatures(features.pooled(self.pool).to(place), read)

    def _read(self, encoded: ReadFeatures) -> tuple[Tensor, Tensor]:
        """Return z_equi and joined of features."""
        read = encoded.of_head
        tapped = tuple(layer.to(self.device) for layer in read.tapped)
        features = Features(None, read.patches.to(self.device), read.grid, tapped, read.tapped_grids)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            tokens = self.head.z_equi(features)
        assert tokens is not None  # without a head there is nothing to train
        z_equi = tokens.mean(dim=1).float().cpu()
        return z_equi, joined(encoded.pooled.float().cpu(), z_equi)
