"""The view of a whole split that lies nearest to a predicted feature, and how far its pose is from the true one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TIE = 1e-6
"""Cosines closer than this, float32's rounding, are equal."""
COSINES = 2**25  # held at a time


class WholeSplit:
    """All views of a split as candidates, whichever object they are of.

    features: (O, V, C). rotations: (O, V, 4), unit quaternions. Takes a float32 copy of the features.
    """

    def __init__(self, features: Tensor, rotations: Tensor) -> None:
        self.views = F.normalize(features.flatten(0, 1).float(), dim=-1)
        q = rotations.flatten(0, 1)
        # the mean of (q . q')^2 over any views q' is q^T (mean q' q'^T) q: 16 sums and a count say all of the nearest
        self.moments = F.pad((q[:, :, None] * q[:, None]).flatten(1), (0, 1), value=1.0)

    def errors(self, predicted: Tensor, rotations: Tensor) -> Tensor:
        """Return `pose_errors` (Q, V) of the views nearest to what is predicted, the mean over equally near ones.

        predicted: (Q, V, C), unit vectors, or (Q, 1, C) where they are the same for all V. rotations: (Q, V, 4), true.
        """
        size = max(1, COSINES // len(self.views))
        sums = torch.cat([self._sums_of_nearest(part) for part in predicted.flatten(0, 1).split(size)])
        mean = (sums[:, :-1] / sums[:, -1:]).unflatten(1, (4, 4)).unflatten(0, predicted.shape[:2])
        return (1 - torch.einsum("qvi,qvij,qvj->qv", rotations, mean, rotations)).clamp(0, 1)

    def _sums_of_nearest(self, predicted: Tensor) -> Tensor:
        """Return the sums (Q, 17) of the moments of the views nearest to each (Q, C)."""
        cosines = predicted @ self.views.T
        nearest = cosines >= cosines.amax(dim=1, keepdim=True) - TIE
        return nearest.to(self.moments.dtype) @ self.moments
