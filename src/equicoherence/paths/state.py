"""The state of a transformed image: the numbers from which the renderer makes its pixels."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.paths import color as colors
from equicoherence.paths import geometry
from equicoherence.paths.digits import all_digits


@dataclass(frozen=True)
class State:
    """The states of a batch of transformed images, relative to their base images (conventions: `equicoherence.paths`).

    geometry: (B, 3, 3), output to input.
    color: (B, 3, 6), ``[C | D]``.
    sigma: (B,) blur in output pixels.
    threshold: (B,) solarize threshold, above 1 for none; None if no sample is solarized.
    sigma_bound: an upper bound of sigma, known without reading the device; 0 means no blur.
    affine: whether the third rows of geometry are known, without reading the device, to be (0, 0, 1). False is always
        correct, and costs an accelerator one division per pixel; a state with a new geometry has False unless it is
        set.
    """

    geometry: Tensor
    color: Tensor
    sigma: Tensor
    threshold: Tensor | None = None
    sigma_bound: float = 0.0
    affine: bool = False

    @classmethod
    def identity(cls, batch: int, device: torch.device | str = "cpu") -> State:
        """Return the state that changes nothing."""
        still, unblurred = geometry.identity(batch, device), torch.zeros(batch, device=device)
        return cls(still, colors.identity(batch, device), unblurred, affine=True)

    def replace(self, **fields: object) -> State:
        """Return a copy with some fields replaced; with a new ``geometry``, ``affine`` is False unless it is given."""
        if "geometry" in fields:
            fields = {"affine": False, **fields}
        return dataclasses.replace(self, **fields)  # type: ignore[arg-type]

    def then(self, other: State) -> State:
        """Compose: this state, then ``other`` on its result.

        Blur is scaled by a later magnification (with perspective: by that at the centre), and variances add. Solarize
        is not linear and always comes last: if both solarize, the lower threshold is used; a color map after a solarize
        acts before it.
        """
        zoom = geometry.magnification(other.geometry, other.affine)
        sigma = torch.sqrt((self.sigma * zoom) ** 2 + other.sigma**2)
        thresholds = [t for t in (self.threshold, other.threshold) if t is not None]
        bound = math.hypot(self.sigma_bound * MAGNIFICATION_BOUND, other.sigma_bound) if self.sigma_bound else 0.0
        with all_digits(self.geometry):
            place = self.geometry @ other.geometry
        return State(
            geometry=place,
            color=colors.then(self.color, other.color),
            sigma=sigma,
            threshold=torch.stack(thresholds).amin(0) if thresholds else None,
            sigma_bound=bound or other.sigma_bound,
            affine=self.affine and other.affine,
        )


MAGNIFICATION_BOUND = 2.0  # blurs that a later step would magnify more than this are cut off at three sigma / this
