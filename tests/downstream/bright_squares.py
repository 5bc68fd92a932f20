"""Sets of images with bright squares on a dark ground, for tasks on boxes."""

from __future__ import annotations

import numpy as np

from equicoherence.sets import BoxSet, DetectionSet, Objects


class _Squares:
    """count images of ``size`` (H, W) with a square each, red or blue; the images numbered ``empty`` have none."""

    def __init__(self, count: int, seed: int, *, size: tuple[int, int] = (32, 48), empty: tuple[int, ...] = ()) -> None:
        generator = np.random.default_rng(seed)
        self.size, self.empty = size, empty
        self.sides = generator.integers(10, 20, count)
        self.corners = (generator.random((count, 2)) * (np.array(size[::-1]) - self.sides[:, None])).astype(int)
        self.labels = generator.integers(0, 2, count)
        self.seeds = generator.integers(0, 2**31, count)

    def __len__(self) -> int:
        return len(self.sides)

    def name(self, index: int) -> str:
        return f"square {index}"

    def image(self, index: int) -> np.ndarray:
        image = np.random.default_rng(self.seeds[index]).integers(0, 60, (*self.size, 3), dtype=np.uint8)
        image[self.inside(index), 2 * self.labels[index]] = 250
        return image

    def inside(self, index: int) -> np.ndarray:
        (left, top), side = self.corners[index], self.sides[index]
        mask = np.zeros(self.size, dtype=bool)
        mask[top : top + side, left : left + side] = index not in self.empty
        return mask

    def box(self, index: int) -> np.ndarray:
        (left, top), side = self.corners[index], self.sides[index]
        return np.array([left, top, left + side, top + side], dtype=np.float32)


class OneSquare(_Squares, BoxSet):
    """The box of each image's square."""


class SquareObjects(_Squares, DetectionSet):
    """The squares as objects of two classes, with masks."""

    classes = ("red", "blue")
    has_masks = True

    def objects(self, index: int) -> Objects:
        count = int(index not in self.empty)
        return Objects(
            self.box(index)[None][:count],
            self.labels[index : index + 1][:count],
            np.zeros(count, dtype=bool),
            self.inside(index)[None][:count],
        )


class SquareBoxes(SquareObjects):
    """The same without masks."""

    has_masks = False

    def objects(self, index: int) -> Objects:
        found = super().objects(index)
        return Objects(found.boxes, found.labels, found.crowd)
