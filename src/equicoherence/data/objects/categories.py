"""The categories of objects, and how one object is built."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from equicoherence.data.objects import furniture, household, outdoors, vehicles
from equicoherence.data.objects.mesh import ColouredMesh

CATEGORIES: dict[str, Callable[[np.random.Generator], ColouredMesh]] = {
    "airplane": vehicles.airplane,
    "bed": furniture.bed,
    "bench": furniture.bench,
    "boat": vehicles.boat,
    "car": vehicles.car,
    "chair": furniture.chair,
    "dog": outdoors.dog,
    "duck": outdoors.duck,
    "guitar": household.guitar,
    "house": outdoors.house,
    "lamp": furniture.lamp,
    "mug": household.mug,
    "rocket": vehicles.rocket,
    "snowman": outdoors.snowman,
    "table": furniture.table,
    "teapot": household.teapot,
    "train": vehicles.train,
    "tree": outdoors.tree,
    "umbrella": household.umbrella,
    "windmill": outdoors.windmill,
}
"""Builder by name, in the order of the class labels."""


def build(category: str, rng: np.random.Generator) -> ColouredMesh:
    """Build one object of a category with random proportions and colours.

    +Y is up, the object stands on its lowest point, its bounding box is centred on the origin and its farthest vertex
    lies at distance 1.

    Raises:
        ValueError: there is no such category.
    """
    if category not in CATEGORIES:
        raise ValueError(f"no category {category!r}: choose one of {', '.join(CATEGORIES)}")
    return CATEGORIES[category](rng)
