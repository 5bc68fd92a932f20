"""Sets that ``equicoherence render`` made: one object an image, with its box and its mask, exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.poses.objects import find_objects
from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.kinds import DetectionSet, Objects
from equicoherence.sets.rendered_views import RenderedViews, is_rendered

MOST_CLASSES = 80  # as many as COCO has; with more, each would be seen too seldom


class RenderedDetection(RenderedViews, DetectionSet):
    """All views of the objects of one split. Classes are the categories, or "object" alone where they are many.

    An object of which no pixel is seen is none of its image's.
    """

    has_masks = True

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        categories = tuple(printable(name) for name in find_objects(root).classes)
        self.classes = categories if len(categories) <= MOST_CLASSES else ("object",)

    def objects(self, index: int) -> Objects:
        mask = self.dense(index, "mask") > 0
        label = self.classes.index(self.name(index).split("/")[0]) if len(self.classes) > 1 else 0
        seen = int(mask.any())
        box = _box(mask) if seen else np.zeros(4, dtype=np.float32)
        return Objects(box[None][:seen], np.full(seen, label), np.zeros(seen, dtype=bool), mask[None][:seen])


def _box(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)


RENDERED_DETECTION = Declaration(
    name="rendered_detection",
    kind="detection",
    layout="render.yaml, train_images.npy, val_images.npy, CATEGORY/OBJECT/image_I.jpg, dense.npz",
    source="equicoherence render --meshes PATH --out DIR, of any meshes",
    is_here=is_rendered,
    open=RenderedDetection,
)
