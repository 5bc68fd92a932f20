"""LeJEPA: embeddings that agree and are an isotropic Gaussian (Balestriero and LeCun, 2025, arXiv 2511.08544)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.methods.gather import mean_over_processes, world_size


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
