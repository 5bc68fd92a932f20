"""ADE20k as in the MIT scene parsing challenge of 2016: 150 classes of things and stuff (Zhou et al. 2017)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import matched, read_bytes, read_png
from equicoherence.sets.kinds import IGNORE
from equicoherence.sets.masked_images import MaskedImages

COUNT = 150
FOLDERS = {"train": "training", "val": "validation"}
NAMES = "objectInfo150.txt"


class ADE20k(MaskedImages):
    """20,210 images for training, 2,000 for the scores; pixels of none of the 150 classes (0 in the files) are ignored.

    Classes are called as in objectInfo150.txt where it is there, else by their numbers in the files, from 1.
    """

    def __init__(self, root: Path, split: str) -> None:
        images, masks = (root / kind / FOLDERS[split] for kind in ("images", "annotations"))
        self._files = matched(images, "*.jpg", masks, ".png")
        names = root / NAMES
        self.classes = _names(names) if names.is_file() else tuple(str(number + 1) for number in range(COUNT))

    def mask(self, index: int) -> np.ndarray:
        path = self._files[index][1]
        labels = read_png(path)
        if labels.ndim != 2 or labels.max() > COUNT:
            what = f"of shape {labels.shape}, with numbers up to {labels.max()}"
            raise BadImage(printable(str(path)), f"not a mask of {COUNT} classes: {what}")
        return np.where(labels > 0, labels - 1, IGNORE).astype(np.uint8)


def _names(path: Path) -> tuple[str, ...]:
    """Read the names: one line for each class after a heading, fields by tabs, the number first and the name last."""
    lines = [line.split("\t") for line in read_bytes(path).decode("utf-8", "replace").splitlines()[1:] if line.strip()]
    numbers = [fields[0].strip() for fields in lines]
    if numbers != [str(number + 1) for number in range(COUNT)]:
        raise ValueError(f"{printable(str(path))} does not list classes 1 to {COUNT} in order, one a line")
    return tuple(printable(fields[-1].strip()) for fields in lines)


def _is_here(root: Path) -> bool:
    return all((root / kind / split).is_dir() for kind in ("images", "annotations") for split in FOLDERS.values())


ADE20K = Declaration(
    name="ade20k",
    kind="segmentation",
    layout="ADEChallengeData2016: images/training/*.jpg, images/validation/, annotations/training/*.png, "
    "annotations/validation/, objectInfo150.txt (may be absent)",
    source="sceneparsing.csail.mit.edu, ADEChallengeData2016.zip (images for non-commercial research)",
    is_here=_is_here,
    open=ADE20k,
)
