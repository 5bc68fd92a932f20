"""A copy of an encoder, by which a run is measured while it trains: nothing of the run is touched."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from equicoherence.methods.teacher import frozen_copy
from equicoherence.models import Encoder
from equicoherence.models.features import Pool

ENCODER = "encoder."
BATCH = 256


class EncoderCopy:
    """A copy in evaluation mode, without gradients.

    encoder: as the run starts.
    pool: the image representation.
    bfloat16: whether products are in bfloat16.
    """

    def __init__(self, encoder: Encoder, pool: Pool, *, bfloat16: bool) -> None:
        self.encoder, self.pool, self.bfloat16 = frozen_copy(encoder).eval(), pool, bfloat16

    @property
    def device(self) -> torch.device:
        """Where images are to be."""
        return self.encoder.mean.device

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take the encoder's of a learner's ``weights``."""
        of_encoder = {k.removeprefix(ENCODER): v for k, v in weights.items() if k.startswith(ENCODER)}
        self.encoder.load_state_dict(of_encoder)

    def prepare(self, views: Tensor) -> Tensor:
        """Return what `representations` reads of views (N, C, S, S), uint8: these."""
        return views

    def representations(self, views: Tensor) -> dict[str, Tensor]:
        """Return what stands for views (N, C'), by its name: one representation, without a name."""
        parts = views.split(BATCH)
        return {"": torch.cat([self.read(part.to(self.device).float() / 255) for part in parts])}

    @torch.no_grad()
    def read(self, images: Tensor) -> Tensor:
        """Return what stands for images (B, 3, S, S) in [0, 1], (B, C), on the CPU, where all that follows is exact."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            return self.encoder(images).pooled(self.pool).float().cpu()
