"""Images with named points for training and scoring, and what is true of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from equicoherence.sets.kinds import KeypointSet


class Samples:
    """Images of a set with their ground truth, filled in as they are loaded.

    places: (N, K, 2), x and y as shares of the image's sides. scored: (N, K). shapes: (N, 2), width and height in
    pixels. lengths: (N,), in pixels. with_mirrored: whether the second half of N are the same images mirrored.
    """

    def __init__(self, images: KeypointSet, chosen: Sequence[int], *, with_mirrored: bool) -> None:
        self.images, self.chosen = images, chosen
        count, points = len(chosen) * (2 if with_mirrored else 1), len(images.names)
        self.places, self.scored = torch.zeros(count, points, 2), torch.zeros(count, points, dtype=torch.bool)
        self.shapes, self.lengths = torch.ones(count, 2), torch.ones(count)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def inside(self) -> Tensor:
        """Which points (N, K) lie in the image."""
        return ((self.places >= 0) & (self.places < 1)).all(dim=-1)

    def load(self, number: int) -> np.ndarray:
        """Return an image (H, W, 3), and note what is true of it; called from several threads."""
        again, position = divmod(number, len(self.chosen))
        index = self.chosen[position]
        pixels, truth = self.images.image(index), self.images.keypoints(index)
        shape = torch.tensor([pixels.shape[1], pixels.shape[0]])
        places, scored = torch.from_numpy(truth.points) / shape, torch.from_numpy(truth.scored)
        if again:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
            places, scored = mirrored_places(places, self.images.mirrored), scored[list(self.images.mirrored)]
        self.places[number], self.scored[number] = places, scored
        self.shapes[number], self.lengths[number] = shape.float(), truth.length
        return pixels


def mirrored_places(places: Tensor, mirrored: Sequence[int]) -> Tensor:
    """Return places (K, 2), as shares, in the mirrored image, where each point is what ``mirrored`` says."""
    return torch.stack([1 - places[..., 0], places[..., 1]], dim=-1)[list(mirrored)]


def mean_places(places: Tensor, scored: Tensor) -> Tensor:
    """Return the mean place (K, 2) of each point of (N, K, 2) where it is scored; the middle where it never is."""
    count = scored.sum(dim=0)[:, None]
    mean = (places * scored[..., None]).sum(dim=0) / count.clamp(min=1)
    return torch.where(count > 0, mean, 0.5)
