"""SimCLR: contrast each image against all others (Chen et al., ICML 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import gather, rank
from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class SimCLRConfig(MethodConfig):
    """NT-Xent and its two-layer projector; published: .1, 2048, 128.

    Args:
        temperature: Temperature of the cosines in the contrastive loss.
        width: Hidden features of the projector.
        output: Output features of the projector.
    """

    temperature: float = 0.1
    width: int = 2048
    output: int = 128


class SimCLR(Method, config=SimCLRConfig):
    """SimCLR on the mean of the invariant tokens."""

    def __init__(self, d_inv: int, config: SimCLRConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = projector([d_inv, config.width, config.output])

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the contrastive loss of two views."""
        a, b = (self.projector(view).float() for view in student.summary)
        with torch.autocast(a.device.type, enabled=False):
            return {"contrastive": nt_xent_loss(a, b, self.config.temperature)}


def nt_xent_loss(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent of paired rows a, b (B, D): this process's rows against the rows of all (paper, eq. 1)."""
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    everyone = torch.cat([gather(a), gather(b)])
    batch, total = len(a), len(everyone) // 2
    own = rank() * batch + torch.arange(batch, device=a.device)
    own = torch.cat([own, own + total])
    similarity = torch.cat([a, b]) @ everyone.T / temperature
    similarity = similarity.scatter(1, own[:, None], float("-inf"))  # not against itself
    return F.cross_entropy(similarity, (own + total) % (2 * total))
