"""Masks of sets that ``equicoherence render`` made: object and background, exact at each pixel's centre."""

from __future__ import annotations

import numpy as np

from equicoherence.data.source import BadImage
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.kinds import SegmentationSet
from equicoherence.sets.rendered_views import RenderedViews, is_rendered


class RenderedSegmentation(RenderedViews, SegmentationSet):
    """All views of the objects of a split; the floor is background."""

    classes = ("background", "object")

    def mask(self, index: int) -> np.ndarray:
        mask = self.dense(index, "mask")
        if mask.ndim != 2 or mask.max(initial=0) > 1:
            raise BadImage(self.name(index), f"its mask is no image of 0 and 1: {mask.dtype} of shape {mask.shape}")
        return mask.astype(np.uint8)


RENDERED_SEGMENTATION = Declaration(
    name="rendered_segmentation",
    kind="segmentation",
    layout="render.yaml, train_images.npy, val_images.npy, CATEGORY/OBJECT/image_0.jpg, CATEGORY/OBJECT/dense.npz",
    source="equicoherence render",
    is_here=is_rendered,
    open=RenderedSegmentation,
)
