"""The features of an encoder and z_equi as one vector: what an adapted encoder gives."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 1 / 3  # of the norm: a tenth of the cosine between two images


def joined(backbone: Tensor, z_equi: Tensor) -> Tensor:
    """Return [backbone | z_equi] (B, C + d_equi), z_equi scaled to ``SHARE`` of the norm of the backbone's features.

    So the first C features are those of the encoder, unchanged, and nearest neighbours by cosine change little.
    """
    norms = [part.norm(dim=1, keepdim=True) for part in (backbone, z_equi)]
    return torch.cat([backbone, z_equi * (SHARE * norms[0] / norms[1].clamp_min(1e-12))], dim=1)
