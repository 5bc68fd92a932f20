"""The embedded data set: procedural objects, rendered on first use, with classes and poses."""

from __future__ import annotations

from typing import get_args

import numpy as np
from PIL import Image

from equicoherence.data.objects.categories import CATEGORIES
from equicoherence.data.objects.draw import ObjectsPlan
from equicoherence.data.objects.store import load_or_make
from equicoherence.data.objects.view import VIEW_NAMES
from equicoherence.data.source import ImageSource, Origin, Sample, Split

_VALIDATION_EVERY = 5


class ObjectsSource(ImageSource):
    """Rendered objects of 20 categories: 6,000 images of 64 x 64 by default, 1,200 of them ``val``.

    The set is rendered once on all cores and kept in the cache folder; no network is used. It is split by object
    (every fifth one is ``val``), so no object is in both. The same arguments give the same images, in the same order.

    Args:
        split: ``"train"``, ``"val"`` or ``"all"``.
        size: Pixels on a side, 8 to 1024.
        views: Images of each object, at least 1.
        objects_per_category: At least 5.
        seed: At least 0.

    Raises:
        ValueError: no such split, or a number out of its range.
    """

    images: np.ndarray
    """(N, S, S, 3) uint8 RGB, by category, object, view."""
    objects: np.ndarray
    """(N,) int64, which object of its category is seen: 0 to ``objects_per_category`` - 1."""
    poses: np.ndarray
    """(N, P) float32: the numbers of ``View``, angles in radians."""
    pose_names: tuple[str, ...]
    """(P) names of the columns of ``poses``: ``"yaw"``, ``"elevation"``, ``"floor_hue"``, ..."""

    def __init__(
        self,
        split: Split = "train",
        *,
        size: int = 64,
        views: int = 4,
        objects_per_category: int = 75,
        seed: int = 0,
    ) -> None:
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {', '.join(map(repr, get_args(Split)))}, got {split!r}")
        plan = ObjectsPlan(size=size, views=views, objects_per_category=objects_per_category, seed=seed)
        images, poses = load_or_make(plan)
        labels, objects = np.repeat(np.array(plan.jobs, dtype=np.int64), views, axis=0).T
        held_out = objects % _VALIDATION_EVERY == _VALIDATION_EVERY - 1
        chosen = {"train": ~held_out, "val": held_out, "all": np.ones_like(held_out)}[split]
        self.images, self.poses = images[chosen], poses[chosen]
        self.labels, self.objects = labels[chosen], objects[chosen]
        self.classes = list(CATEGORIES)
        self.pose_names = VIEW_NAMES
        self.origin = Origin("" if split == "all" else "every fifth object of a category", split)
        self._views = np.tile(np.arange(views), len(plan.jobs))[chosen]

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Name an image ``CATEGORY/OBJECT-VIEW``."""
        return f"{self.classes[self.labels[index]]}/{self.objects[index]:04d}-{self._views[index]}"

    def load(self, index: int, size: int) -> Sample:
        """Return an image, resized with an antialiasing filter where ``size`` is not the stored one."""
        pixels = self.images[index]
        if size == len(pixels):
            return Sample(pixels.copy(), 1.0, size)
        return Sample(
            np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)), 1.0, len(pixels)
        )
