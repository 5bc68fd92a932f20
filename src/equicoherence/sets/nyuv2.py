"""NYU Depth v2 as BTS, ZoeDepth and Depth Anything lay it out: images and depth maps in folders of scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.depth_png import read_depth
from equicoherence.sets.files import in_order, read_image, refuse_missing
from equicoherence.sets.kinds import DepthSet

LIMITS = (0.001, 10.0)
TEST = "official_splits/test"


class NYUv2(DepthSet):
    """654 images for the scores, up to 10 m within Eigen's crop; training frames from the scenes below ``sync``, or the
    795 of ``official_splits/train`` where there is no ``sync``."""

    limits = LIMITS
    crop = "eigen"

    def __init__(self, root: Path, split: str) -> None:
        folder = root / TEST if split == "val" else root / "sync"
        if split == "train" and not folder.is_dir():
            folder = root / "official_splits" / "train"
        self.variant = folder.relative_to(root).as_posix()
        self._images = in_order([*folder.glob("*/rgb_*.jpg"), *folder.glob("*/rgb_*.png")])
        if not self._images:
            raise FileNotFoundError(f"no files */rgb_*.jpg or */rgb_*.png in {str(folder)!r}")
        self._depths = [path.with_name(f"sync_depth_{path.stem.removeprefix('rgb_')}.png") for path in self._images]
        refuse_missing(self._depths)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        path = self._images[index]
        return printable(f"{path.parent.name}/{path.stem}")

    def image(self, index: int) -> np.ndarray:
        return read_image(self._images[index])

    def depth(self, index: int) -> np.ndarray:
        return read_depth(self._depths[index], 1000)


def _is_here(root: Path) -> bool:
    return (root / TEST).is_dir()


NYUV2 = Declaration(
    name="nyuv2",
    kind="depth",
    layout=f"sync/SCENE/rgb_00000.jpg, sync_depth_00000.png (or the same in official_splits/train), {TEST}/SCENE/",
    source="github.com/cleinc/bts, which prepares cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html",
    is_here=_is_here,
    open=NYUv2,
)
