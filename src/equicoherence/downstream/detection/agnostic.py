"""A detection set whose classes are taken for one."""

from __future__ import annotations

import dataclasses

import numpy as np

from equicoherence.sets.kinds import DetectionSet, Objects


class AgnosticSet(DetectionSet):
    """The images and objects of another set, all of the class "object"."""

    classes = ("object",)

    def __init__(self, data: DetectionSet) -> None:
        self._data, self.has_masks, self.variant = data, data.has_masks, data.variant

    def __len__(self) -> int:
        return len(self._data)

    def name(self, index: int) -> str:
        return self._data.name(index)

    def image(self, index: int) -> np.ndarray:
        return self._data.image(index)

    def objects(self, index: int) -> Objects:
        found = self._data.objects(index)
        return dataclasses.replace(found, labels=np.zeros_like(found.labels))
