"""Views of turning objects, with exact depth and pose, of sets that ``equicoherence render`` made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.npy import read_npy
from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import read_bytes
from equicoherence.sets.kinds import PosedViewSet, Surface
from equicoherence.sets.rendered_views import RenderedViews, is_rendered

LATENT = 7  # numbers, of which the first three are the turns


class RenderedPoses(RenderedViews, PosedViewSet):
    """All views of the objects of a split, and the states of the paths between them, which are nearer to one another.

    Lengths are in radii of the object. A mesh's +x is its right, as in `RenderedKeypoints`. Raises `BadImage` where a
    pose cannot be read.
    """

    with_states = True

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        numbered = {name: number for number, name in enumerate(dict.fromkeys(name for name, _ in self._views))}
        self.numbers = np.array([numbered[name] for name, _ in self._views])
        self.rotations = np.stack([self._rotation(index) for index in range(len(self._views))])

    def surface(self, index: int) -> Surface:
        depth, mask = self.dense(index, "depth"), self.dense(index, "mask")
        step = self.of_object(index, "depth_step")
        intrinsics, extrinsics = (self.of_object(index, name) for name in ("intrinsics", "extrinsics"))
        if depth.dtype != np.uint16 or depth.ndim != 2 or mask.shape != depth.shape or step.shape:
            found = f"depth of {depth.dtype} {depth.shape}, mask of {mask.shape}, step of {step.shape}"
            raise BadImage(self.name(index), f"{found}; uint16 (S, S), (S, S) and a number are needed")
        if intrinsics.shape != (3, 3) or extrinsics.shape != (4, 4):
            found = f"{intrinsics.shape} and {extrinsics.shape}"
            raise BadImage(self.name(index), f"its camera has matrices of {found}; (3, 3) and (4, 4) are needed")
        return Surface(depth.astype(np.float32) * np.float32(step), mask > 0, intrinsics, extrinsics)

    def _rotation(self, index: int) -> np.ndarray:
        from equicoherence.rendering.latent import rotation_matrix

        path = self._file(index, "latent", ".npy")
        try:
            latent = read_npy(read_bytes(path))
        except ValueError as error:
            raise BadImage(printable(str(path)), f"cannot be read: {error}") from error
        if latent.shape != (LATENT,) or not np.isfinite(latent).all():
            raise BadImage(printable(str(path)), f"holds {latent.dtype} of shape {latent.shape}; 7 numbers are needed")
        return rotation_matrix(latent[:3])


RENDERED_POSES = Declaration(
    name="rendered_poses",
    kind="views",
    layout="render.yaml, train_images.npy, val_images.npy, CATEGORY/OBJECT/image_0.jpg, latent_0.npy, dense.npz; and, "
    "for small turns, path_0_image_0.jpg, path_0_latent_0.npy",
    source="equicoherence render --paths 2 --states 5",
    is_here=is_rendered,
    open=RenderedPoses,
    trains=False,
)
