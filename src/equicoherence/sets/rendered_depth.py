"""Depth of sets that ``equicoherence render`` made: exact at each pixel's centre, floor included."""

from __future__ import annotations

import numpy as np

from equicoherence.data.source import BadImage
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.kinds import DepthSet
from equicoherence.sets.rendered_views import RenderedViews, is_rendered


class RenderedDepth(RenderedViews, DepthSet):
    """All views of the objects of a split.

    Depth is in radii of the object instead of metres, as renders have no scale. The camera stands 3.2 radii from the
    object's centre, and all that it sees is between 2 and 10 away.
    """

    limits = (1.0, 10.0)

    def depth(self, index: int) -> np.ndarray:
        depth, step = self.dense(index, "depth"), self.of_object(index, "depth_step")
        if depth.dtype != np.uint16 or depth.ndim != 2 or step.shape or step.dtype.kind != "f":
            found = f"{depth.dtype} of shape {depth.shape}, in steps {step.dtype} of shape {step.shape}"
            raise BadImage(self.name(index), f"its depth is {found}; uint16 (S, S) in steps of a number is needed")
        return depth.astype(np.float32) * np.float32(step)


RENDERED_DEPTH = Declaration(
    name="rendered_depth",
    kind="depth",
    layout="render.yaml, train_images.npy, val_images.npy, CATEGORY/OBJECT/image_0.jpg, CATEGORY/OBJECT/dense.npz",
    source="equicoherence render",
    is_here=is_rendered,
    open=RenderedDepth,
)
