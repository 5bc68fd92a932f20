"""SER: MoCo v3, and an early layer equivariant to rotations and mirrors (Lee et al., ICLR 2026, arXiv 2603.06693)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.methods.gather import gather, rank
from equicoherence.methods.method import Encoded
from equicoherence.methods.mocov3 import MoCoV3, MoCoV3Config
from equicoherence.paths.symmetries import undo_symmetries


@dataclass(frozen=True)
class SERConfig(MoCoV3Config):
    """Settings of the equivariance term, and those of MoCo v3; published for MoCo v3 and ViT-S/16.

    Args:
        layer: 0-based layer of the encoder that is trained to be equivariant, the third of twelve.
        share: Share of a batch (of each process and part) that is shown in symmetries of the square, at least two
            images.
        equivariance_temperature: Temperature of the cosines of tokens in the equivariant term.
        hidden: Width of both layers of the head over these tokens.
        weight: Lambda, the weight of the equivariant term.
    """

    layer: int = 2
    share: float = 0.01
    equivariance_temperature: float = 0.3
    hidden: int = 512
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a share out of its range, quoting it."""
        if not 0 < self.share <= 1:
            raise ValueError(f"method.share must lie in (0, 1], got {self.share}")


class SER(MoCoV3, config=SERConfig):
    """SER on the patch tokens of an early layer, with MoCo v3 on the mean of the invariant tokens.

    It knows the symmetries in which it shows images, and does not receive theta. From the paper: the term, its layer,
    the group of quarter turns and mirror images, which permutes tokens of a feature map as it permutes pixels; and that
    a part of the batch shows one crop in two elements of the group, and trains both losses. From the official code,
    because the paper was not available: lambda, the share, separate colors for both views of this part, the comparison
    with the teacher's tokens, and the head, which is shared and trained through both. Our choices: both elements are
    drawn uniformly from the eight; scaling, the third transformation of the paper, is left out, since all views here
    have one size; and a class token is not removed from the early layers.
    """

    symmetries = True
    reads_layer = True
    config: SERConfig

    def __init__(self, d_inv: int, config: SERConfig, layer_width: int) -> None:
        super().__init__(d_inv, config)
        self.head = nn.Sequential(
            nn.LayerNorm(layer_width),
            nn.Linear(layer_width, config.hidden, bias=False),
            nn.GELU(),
            nn.Linear(config.hidden, config.hidden, bias=False),
        )

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return MoCo v3's loss, and that of the early tokens of each view against the teacher's of the other."""
        if student.layer is None or student.symmetries is None or teacher is None or teacher.layer is None:
            raise ValueError("SER needs tokens of a layer, and the symmetries that the views are shown in")
        numbers = student.symmetries
        shown = numbers.shape[1]
        own, key = (
            [undo_symmetries(self.head(tokens[:shown]), which).float() for tokens, which in zip(views, numbers)]
            for views in (student.layer, teacher.layer)
        )
        temperature = self.config.equivariance_temperature
        with torch.autocast(own[0].device.type, enabled=False):
            both = token_loss(own[0], key[1], temperature) + token_loss(own[1], key[0], temperature)
        return {**super().forward(student, teacher), "equivariance": self.config.weight * both / 2}


def token_loss(tokens: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Return the patch-wise NT-Xent loss of tokens z and z' (B, N, C), those of one place of an image side by side.

    For the token j of image i it is -log of exp s(z_ij, z'_ij) over itself plus the sums of exp s(z_ij, z_mn) and
    exp s(z_ij, z'_mn) over all tokens n of all other images m, of all processes, with s the cosine over the
    temperature; the mean over i and j. Other tokens of the same image are no negatives (paper, equation of L_equiv).
    """
    tokens, positive = F.normalize(tokens, dim=2), F.normalize(positive, dim=2)
    batch, count = tokens.shape[:2]
    anchors = tokens.flatten(0, 1)
    everyone = torch.cat([gather(tokens).flatten(0, 1), gather(positive).flatten(0, 1)])
    scores = (anchors @ everyone.T / temperature).view(batch, count, 2, -1, count)
    image = rank() * batch + torch.arange(batch, device=tokens.device)
    same = image[:, None] == torch.arange(scores.shape[3], device=tokens.device)
    own = (anchors * positive.flatten(0, 1)).sum(dim=1) / temperature
    others = scores.masked_fill(same[:, None, None, :, None], float("-inf")).flatten(2).flatten(0, 1)
    return (torch.cat([own[:, None], others], dim=1).logsumexp(dim=1) - own).mean()
