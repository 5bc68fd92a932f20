"""The linear head, and its split into an invariant and an equivariant part [P2, section 3]."""

from __future__ import annotations

from torch import Tensor, nn

from equicoherence.models.features import Features


class SplitHead(nn.Module):
    """Map patch tokens to ``z = [z_inv | z_equi]``, token by token.

    width: channels of the encoder; d: features of z, None where the method reads the encoder's own features, so that
    there is no invariant part; d_equi: how many are equivariant (0: none). layer_width: channels of the tapped layer,
    where the equivariant part reads that instead of the output. A linear map split along its output is two linear
    maps, so each part is one.
    """

    def __init__(self, width: int, d: int | None, d_equi: int, layer_width: int | None = None) -> None:
        super().__init__()
        if d_equi < 0 or (d is not None and d_equi >= d):
            raise ValueError(f"d_equi must lie in [0, d), got d_equi={d_equi}, d={d}")
        self.invariant = nn.Linear(width, d - d_equi) if d is not None else None
        self.equivariant = nn.Linear(layer_width or width, d_equi) if d_equi else None

    def forward(self, features: Features) -> tuple[Tensor | None, Tensor | None]:
        """Return z_inv (B, N, d - d_equi) and z_equi (B, M, d_equi), None for a part that is not there."""
        z_inv = self.invariant(features.patches) if self.invariant is not None else None
        return z_inv, self.z_equi(features)

    def z_equi(self, features: Features) -> Tensor | None:
        """Return z_equi (B, M, d_equi) alone, None where it is not there."""
        if self.equivariant is None:
            return None
        return self.equivariant(features.patches if features.tapped is None else features.tapped)
