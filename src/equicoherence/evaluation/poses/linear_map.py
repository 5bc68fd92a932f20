"""A fitted map from a view's features to another's, given the rotation between them: a predictor for methods that have
none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.poses.latents import relative_rotation
from equicoherence.devices import with_float64
from equicoherence.evaluation.poses.renders import Renders, ViewPairs

STRENGTHS = tuple(10.0**e for e in range(-6, 2))
HELD_OUT = 0.1  # share of the objects on which the strength is chosen
ROWS = 4096  # design rows at a time


@dataclass(frozen=True)
class LinearMap:
    """Predict unit features z2 of a view from those, z1, of another: sum_p theta_p (A_p z1 + a_p) + B z1 + b.

    weights: (5, C + 1, C), of theta = (x, y, z, w, 1) and (z1, 1). strength: of the ridge. Features are of length 1.
    """

    weights: Tensor
    strength: float
    name: ClassVar[str] = "fitted_linear_map"  # as results call it

    def __call__(self, first: Tensor, theta: Tensor) -> Tensor:
        """Map features (N, C) and theta (N, T, 6), of which it reads the rotation, to predicted features (N, T, C)."""
        z = F.pad(F.normalize(first, dim=-1), (0, 1), value=1.0)
        moved = torch.einsum("nc,pcd->npd", z, self.weights)
        return F.pad(theta[..., :4], (0, 1), value=1.0) @ moved


@torch.no_grad()
def fit_linear_map(train: Renders, representation: str, *, pairs: int = 8, seed: int = 0) -> LinearMap:
    """Fit a bilinear map, a linear hypernetwork of the quaternion, by ridge regression in closed form (float64).

    pairs: random pairs of views of each object. The strength with the least squared error on a held-out tenth of the
    objects is kept, then all are used. Takes (5 C)^2 memory and (5 C)^3 time: C = 512 seconds, C = 2048 wants a GPU.
    Raises ValueError for fewer than two objects, and for a representation that is not there.
    """
    if representation not in train.features:
        raise ValueError(f"there are no features {representation!r}; choose among {', '.join(train.features)}")
    if train.objects < 2:
        raise ValueError(f"a fitted map needs at least 2 training objects, one of them held out, got {train.objects}")
    generator = torch.Generator().manual_seed(seed)
    drawn = [train.draw(generator) for _ in range(pairs)]
    held_objects = torch.randperm(train.objects, generator=generator) < max(1, round(HELD_OUT * train.objects))
    together = ViewPairs.join(drawn)
    held = held_objects.to(together.objects.device)[together.objects]
    sums = []
    for chosen in (~held, held):
        part = ViewPairs(together.objects[chosen], together.first[chosen], together.second[chosen])
        sums.append(_moments(train, representation, part))
    (gram, cross, _), (held_gram, held_cross, held_square) = sums
    errors = []
    for strength in STRENGTHS:
        weights = _solve(gram, cross, strength)
        errors.append((weights * (held_gram @ weights - 2 * held_cross)).sum() + held_square)
    best = STRENGTHS[int(torch.stack(errors).argmin())]
    weights = _solve(gram + held_gram, cross + held_cross, best)
    weights = weights.float().to(train.features[representation].device)
    return LinearMap(weights.unflatten(0, (5, -1)), best)


def _moments(train: Renders, representation: str, pairs: ViewPairs) -> tuple[Tensor, Tensor, Tensor]:
    """Return X^T X, X^T Y and sum Y^2 of the pairs' design X (N, 5 (C + 1)) and targets Y (N, C)."""
    features, rotations = with_float64(train.features[representation]), with_float64(train.rotations)
    width = features.shape[2]
    zeros = {"dtype": torch.float64, "device": features.device}
    size = 5 * (width + 1)
    gram, cross, square = torch.zeros(size, size, **zeros), torch.zeros(size, width, **zeros), torch.zeros((), **zeros)
    for part in pairs.split(ROWS):
        objects, *views = (with_float64(each) for each in (part.objects, part.first, part.second))
        z, y = (F.normalize(features[objects, view].double(), dim=-1) for view in views)
        q1, q2 = (rotations[objects, view] for view in views)
        theta = F.pad(relative_rotation(q1, q2).double(), (0, 1), value=1.0)
        x = (theta[:, :, None] * F.pad(z, (0, 1), value=1.0)[:, None]).flatten(1)
        gram.addmm_(x.T, x)
        cross.addmm_(x.T, y)
        square += y.square().sum()
    return gram, cross, square


def _solve(gram: Tensor, cross: Tensor, strength: float) -> Tensor:
    """Solve ridge regression; ``strength`` is relative to the mean diagonal."""
    ridge = strength * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.cholesky_solve(cross, torch.linalg.cholesky(gram + ridge))
