"""SPair-71k: pairs of photographs of things of a category, with the same points marked (Min, Lee, Ponce, Cho 2019)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.files import inside, read_bytes, read_image, refuse_missing
from equicoherence.sets.kinds import PointPair, PointPairSet
from equicoherence.sets.odd_rows import OddRows

LIST = "Layout/large/test.txt"
ANNOTATIONS = "PairAnnotation/test"
IMAGES = "JPEGImages"


class SPair(PointPairSet):
    """The pairs of the test split, 12,234 as published, in the order of its list, and the images that they are of.

    A few pairs whose annotation cannot be used are left out, and a line says so. length: the longer side of the
    target's bounding box, as published (and as PCK takes it).
    """

    def __init__(self, root: Path, split: SetSplit) -> None:
        self.variant = LIST
        names = read_bytes(root / LIST).decode("utf-8", errors="replace").split()
        if not names:
            raise ValueError(f"{root / LIST} lists no pairs")
        files = [inside(root / ANNOTATIONS, f"{name}.json") for name in names]
        refuse_missing(files)
        numbers: dict[Path, int] = {}
        pairs, odd = [], OddRows(str(root / ANNOTATIONS), "pairs")
        for file in files:
            try:
                pairs.append(_read_pair(file, root / IMAGES, numbers))
            except ValueError as error:
                odd.note(file.name, str(error))
        odd.settle(len(files))
        self.pairs, self._files = tuple(pairs), list(numbers)
        refuse_missing(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        path = self._files[index]
        return printable(f"{path.parent.name}/{path.stem}")

    def image(self, index: int) -> np.ndarray:
        return read_image(self._files[index])


def _read_pair(file: Path, images: Path, numbers: dict[Path, int]) -> PointPair:
    """Return the pair of an annotation. numbers: of the images so far, to which new ones are added."""
    try:
        found = json.loads(read_bytes(file))
    except ValueError as error:
        raise ValueError(f"it is no json: {error}") from error
    try:
        category, names = str(found["category"]), (str(found["src_imname"]), str(found["trg_imname"]))
        points, others = _numbers(found, "src_kps"), _numbers(found, "trg_kps")
        box = _numbers(found, "trg_bndbox")
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{type(error).__name__} {error}; category, src_imname, trg_imname, src_kps, trg_kps and trg_bndbox are "
            "needed"
        ) from error
    if points.ndim != 2 or points.shape[1:] != (2,) or points.shape != others.shape or not len(points):
        raise ValueError(f"src_kps and trg_kps have shapes {points.shape} and {others.shape}, not (K, 2) both")
    if box.shape != (4,) or (length := float(max(box[2] - box[0], box[3] - box[1]))) <= 0:
        raise ValueError(f"trg_bndbox is {found['trg_bndbox']}, not left, top, right and bottom of a box")
    paths = [inside(images, f"{category}/{name}") for name in names]
    source, target = (numbers.setdefault(path, len(numbers)) for path in paths)
    return PointPair(category, source, target, points, others, length)


def _numbers(found: dict[str, Any], key: str) -> np.ndarray:
    """Return the numbers under a key as float32; ValueError where there are none, or they are not finite."""
    try:
        numbers = np.array(found[key], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key} holds no numbers: {error}") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{key} holds numbers that are not finite")
    return numbers


SPAIR = Declaration(
    name="spair",
    kind="point pairs",
    layout=f"{LIST}, {ANNOTATIONS}/*.json, {IMAGES}/CATEGORY/*.jpg",
    source="cvlab.postech.ac.kr/research/SPair-71k (for research)",
    is_here=lambda root: (root / LIST).is_file() and (root / ANNOTATIONS).is_dir(),
    open=SPair,
    trains=False,
)
