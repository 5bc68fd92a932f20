"""The head that maps tokens to an invariant and an equivariant part [P2, section 3]."""

from __future__ import annotations

from torch import Tensor, nn

from equicoherence.models.features import Features


class LinearReader(nn.Linear):
    """Map the tokens of the tapped layer, or of the output, to z_equi (B, M, d_equi).

    width: channels of what is read. tapped: whether that is the tapped layer.
    """

    def __init__(self, width: int, d_equi: int, *, tapped: bool) -> None:
        super().__init__(width, d_equi)
        self.tapped = tapped

    def forward(self, features: Features) -> Tensor:  # type: ignore[override]
        """Return z_equi."""
        return super().forward(features.read(int(self.tapped))[0][0])


class SplitHead(nn.Module):
    """Map patch tokens to ``z = [z_inv | z_equi]``.

    width: channels of the encoder.
    d: features of z; None if the method reads the encoder's own features, so that there is no invariant part.
    d_equi: number of equivariant features (0: none). A linear map that is split along its output is two linear maps, so
        each part is one.
    equivariant: module that computes z_equi, with d_equi features, instead of such a map.
    tapped_width: channels of the tapped layer, if the linear map of z_equi reads that layer instead of the output.
    """

    def __init__(
        self,
        width: int,
        d: int | None,
        d_equi: int,
        tapped_width: int | None = None,
        equivariant: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if d_equi < 0 or (d is not None and d_equi >= d):
            raise ValueError(f"d_equi must lie in [0, d), got d_equi={d_equi}, d={d}")
        self.invariant = nn.Linear(width, d - d_equi) if d is not None else None
        if equivariant is None and d_equi:
            equivariant = LinearReader(tapped_width or width, d_equi, tapped=tapped_width is not None)
        self.equivariant = equivariant

    def forward(self, features: Features) -> tuple[Tensor | None, Tensor | None]:
        """Return z_inv (B, N, d - d_equi) and z_equi (B, M, d_equi); None for a part that does not exist."""
        z_inv = self.invariant(features.patches) if self.invariant is not None else None
        return z_inv, self.z_equi(features)

    def z_equi(self, features: Features) -> Tensor | None:
        """Return only z_equi (B, M, d_equi); None if it does not exist."""
        return None if self.equivariant is None else self.equivariant(features)
