"""Pascal VOC 2012, segmentation: 20 classes of things and background (Everingham et al. 2010)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import read_bytes, read_png, refuse_missing
from equicoherence.sets.kinds import IGNORE
from equicoherence.sets.masked_images import MaskedImages

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
NUMBER = re.compile(rb"\s*\d+\s")


class VOC2012(MaskedImages):
    """1,464 images for training, 1,449 for the scores; borders of things (255) are ignored.

    Where there is trainaug.txt, its 10,582 images are for training, with the masks of Hariharan et al. (2011) from
    SegmentationClassAug, or from SegmentationClass where there is no such folder.
    """

    classes = CLASSES

    def __init__(self, root: Path, split: str) -> None:
        root = _inner(root)
        lists, masks = root / "ImageSets" / "Segmentation", "SegmentationClass"
        if split == "train" and (lists / "trainaug.txt").is_file():
            split = "trainaug"
            masks = "SegmentationClassAug" if (root / "SegmentationClassAug").is_dir() else masks
        self.variant = masks
        path = lists / f"{split}.txt"
        refuse_missing([path])
        names = read_bytes(path).decode("utf-8", "replace").split()
        if not names:
            raise ValueError(f"{printable(str(path))} names no images")
        if unsafe := next((name for name in names if "/" in name or "\\" in name), None):
            raise ValueError(f"{printable(str(path))} names {unsafe!r}, which is no name of an image")
        self._files = [(root / "JPEGImages" / f"{name}.jpg", root / masks / f"{name}.png") for name in names]
        refuse_missing([each for pair in self._files for each in pair])

    def mask(self, index: int) -> np.ndarray:
        path = self._files[index][1]
        labels = read_png(path)
        if labels.ndim != 2 or not np.all((labels < len(CLASSES)) | (labels == IGNORE)):
            what = f"of shape {labels.shape}, with numbers up to {labels.max()}"
            raise BadImage(printable(str(path)), f"not a mask of {len(CLASSES)} classes: {what}")
        return labels.astype(np.uint8)


def _inner(root: Path) -> Path:
    """Return the folder VOC2012 where ``root`` is the VOCdevkit that the archive holds."""
    return root / "VOC2012" if (root / "VOC2012").is_dir() else root


def _is_here(root: Path) -> bool:
    inner = _inner(root)
    listed = inner / "ImageSets" / "Segmentation" / "val.txt"
    if listed.is_file() and NUMBER.match(read_bytes(listed)):
        return False  # VOC 2007 has the same layout, and images called 000005 where 2012's are 2007_000033
    return all((inner / name).is_dir() for name in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"))


VOC_2012 = Declaration(
    name="voc2012",
    kind="segmentation",
    layout="VOCdevkit/VOC2012: ImageSets/Segmentation/train.txt, val.txt (trainaug.txt with SegmentationClassAug/), "
    "JPEGImages/*.jpg, SegmentationClass/*.png",
    source="host.robots.ox.ac.uk/pascal/VOC/voc2012 (images under Flickr's terms)",
    is_here=_is_here,
    open=VOC2012,
)
