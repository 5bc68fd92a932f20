"""What a set of objects is, as numbers, and each object's images as a pure function of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np

from equicoherence.data.loader import usable_cores
from equicoherence.data.objects.categories import CATEGORIES, build
from equicoherence.data.objects.view import VIEW_NAMES, draw_view, scene_of
from equicoherence.drawing import Painter


@dataclass(frozen=True)
class ObjectsPlan:
    """The numbers that fix every pixel of a set.

    Raises:
        ValueError: a number is out of its range.
    """

    size: int = 64
    """Pixels on a side, 8 to 1024."""
    views: int = 4
    """Images of each object, at least 1."""
    objects_per_category: int = 75
    """At least 5: every fifth object is for validation."""
    seed: int = 0
    """At least 0."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("size", 8, 1024),
            ("views", 1, None),
            ("objects_per_category", 5, None),
            ("seed", 0, None),
        ):
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                bound = f"at least {low}" if high is None else f"between {low} and {high}"
                raise ValueError(f"{name} must be {bound}, got {value}")

    @property
    def jobs(self) -> list[tuple[int, int]]:
        """All (category index, object number) in the order of the set."""
        return [(label, number) for label in range(len(CATEGORIES)) for number in range(self.objects_per_category)]


def draw_object(plan: ObjectsPlan, label: int, number: int, painter: Painter) -> tuple[np.ndarray, np.ndarray]:
    """Build one object and render all its views.

    Randomness is keyed by (seed, category, object) and (seed, category, object, view), so an object is the same
    whoever draws it, in whatever order.

    Returns:
        images: (V, S, S, 3) uint8.
        poses: (V, P) float32, the columns named by ``VIEW_NAMES``.
    """
    category = list(CATEGORIES)[label]
    mesh = build(category, np.random.default_rng([plan.seed, label, number]))
    images = np.empty((plan.views, plan.size, plan.size, 3), dtype=np.uint8)
    poses = np.empty((plan.views, len(VIEW_NAMES)), dtype=np.float32)
    for index in range(plan.views):
        # from 1: numpy pads a key with zeros, so view 0 would repeat the object's own stream
        view = draw_view(np.random.default_rng([plan.seed, label, number, index + 1]))
        images[index] = painter.picture(mesh, scene_of(view))
        poses[index] = dataclasses.astuple(view)
    return images, poses


def draw_all(
    plan: ObjectsPlan, workers: int | None = None, advance: Callable[[int], object] = lambda images: None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw all objects of a plan on threads, one for each core where ``workers`` is None; they change no pixel.

    advance: called with the number of images that were just finished. Returns what `draw_object` does, all views of all
    objects (N, ...) by category, object, view.
    """
    images = np.empty((len(plan.jobs), plan.views, plan.size, plan.size, 3), dtype=np.uint8)
    poses = np.empty((len(plan.jobs), plan.views, len(VIEW_NAMES)), dtype=np.float32)
    own = threading.local()

    def work(row: int, label: int, number: int) -> None:
        if not hasattr(own, "painter"):
            own.painter = Painter(plan.size)
        images[row], poses[row] = draw_object(plan, label, number, own.painter)

    pool = ThreadPoolExecutor(workers or usable_cores())
    try:
        for done in as_completed([pool.submit(work, row, *job) for row, job in enumerate(plan.jobs)]):
            done.result()
            advance(plan.views)
    finally:
        pool.shutdown(cancel_futures=True)
    return images.reshape(-1, *images.shape[2:]), poses.reshape(-1, poses.shape[2])
