"""LeJEPA: embeddings that agree and are an isotropic Gaussian (Balestriero and LeCun, 2025, arXiv 2511.08544)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import mean_over_processes, world_size
from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class LeJEPAConfig(MethodConfig):
    """SIGReg and the three-layer projector.

    Published: .05 and 1024 directions; widths are those of the authors' minimal code, which runs with .02 and 256.

    Args:
        sigreg: Weight of SIGReg; that of the invariance is 1 minus this.
        directions: Number of random directions of SIGReg per step.
        width: Hidden features of the projector.
        output: Output features of the projector.
    """

    sigreg: float = 0.05
    directions: int = 1024
    width: int = 2048
    output: int = 128


class LeJEPA(Method, config=LeJEPAConfig):
    """LeJEPA on the mean of the invariant tokens, of two global views and local crops (6 as published, or none).

    The directions of a step are a function of its number: all processes draw the same, also after a resume.
    """

    crops = True
    directions: Tensor

    def __init__(self, d_inv: int, config: LeJEPAConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = projector([d_inv, config.width, config.width, config.output], last_bias=True)
        self.register_buffer("directions", torch.empty(config.output, config.directions))
        self._draw(0)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return invariance and SIGReg of all views, projected together (paper, section 5)."""
        views = student.summaries(crops)
        z = self.projector(views.flatten(0, 1)).unflatten(0, views.shape[:2]).float()
        with torch.autocast(z.device.type, enabled=False):  # angles need all their digits
            invariance, sigreg = invariance_loss(z, len(student.summary)), sigreg_loss(z, self.directions)
        weight = self.config.sigreg
        return {"invariance": (1 - weight) * invariance, "sigreg": weight * sigreg}

    def update(self, step: int, total_steps: int) -> None:
        """Draw the directions of the next step."""
        self._draw(step + 1)

    def _draw(self, step: int) -> None:
        generator = torch.Generator(self.directions.device).manual_seed(step)
        self.directions.copy_(random_directions(len(self.directions), self.config.directions, generator))


def random_directions(width: int, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` random unit columns (width, count); equal generators on all processes give equal directions."""
    directions = torch.randn(width, count, generator=generator, device=generator.device)
    return F.normalize(directions, dim=0)


def sigreg_loss(z: Tensor, directions: Tensor, knots: int = 17, extent: float = 3.0) -> Tensor:
    """Return the mean Epps-Pulley statistic of z (..., N, D) along unit directions (D, P), the same on all processes.

    N * integral of |mean_n exp(i t z_n) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt over [-extent, extent], N and the mean
    over the rows of all processes; by the trapezoid rule on ``knots`` points of [0, extent], doubled: the integrand is
    even. Averaged over directions and leading dimensions (SIGReg; extent and knots as in the authors' code).
    """
    t = torch.linspace(0, extent, knots, device=z.device, dtype=z.dtype)[1:]  # at 0 both functions are 1
    gaussian = torch.exp(-t.square() / 2)
    weights = 2 * extent / (knots - 1) * gaussian
    weights[-1] /= 2
    angles = (z @ directions)[..., None] * t
    real, imaginary = mean_over_processes(torch.stack([angles.cos().mean(dim=-3), angles.sin().mean(dim=-3)]))
    error = (real - gaussian).square() + imaginary.square()
    return z.shape[-2] * world_size() * (error @ weights).mean()


def invariance_loss(views: Tensor, global_views: int = 2) -> Tensor:
    """Return the mean squared difference of views (V, B, D) to the mean of the first ``global_views`` of them."""
    return (views - views[:global_views].mean(dim=0)).square().mean()
