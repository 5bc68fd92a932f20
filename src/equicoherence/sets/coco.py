"""COCO 2017: everyday scenes, 80 classes of things with boxes and masks (Lin et al. 2014)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.notice import say
from equicoherence.sets.coco_masks import decode_mask
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import inside, read_image, refuse_missing
from equicoherence.sets.kinds import DetectionSet, Objects
from equicoherence.sets.odd_rows import OddRows
from equicoherence.sets.photographs import PhotographFolder

Annotation = tuple[int, tuple[float, ...], bool, Any]  # label, box, crowd, segmentation


class Coco(DetectionSet):
    """Images in order of their ids, classes in order of theirs; masks are decoded when they are read.

    Raises FileNotFoundError or ValueError, naming the file, where annotations or images are missing or damaged.
    """

    has_masks = True

    def __init__(self, root: Path, split: str) -> None:
        self._path = root / "annotations" / f"instances_{split}2017.json"
        contents = _read(self._path)
        try:
            categories = sorted((entry["id"], entry["name"]) for entry in contents["categories"])
            labels = {number: label for label, (number, _) in enumerate(categories)}
            images = sorted(
                (entry["id"], entry["file_name"], int(entry["height"]), int(entry["width"]))
                for entry in contents["images"]
            )
            of_image = _of_image(contents["annotations"], [number for number, *_ in images], labels, str(self._path))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path} is not in COCO's format: {type(error).__name__}: {error}") from error
        if not images:
            raise ValueError(f"{self._path} lists no images")
        self.classes = tuple(name for _, name in categories)
        self._files = [inside(root / f"{split}2017", name) for _, name, _, _ in images]
        self._sizes = [(height, width) for _, _, height, width in images]
        self._annotations = [of_image[number] for number, *_ in images]
        refuse_missing(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return printable(self._files[index].stem)

    def image(self, index: int) -> np.ndarray:
        image = read_image(self._files[index])
        if image.shape[:2] != self._sizes[index]:
            told, found = (" x ".join(map(str, size)) for size in (self._sizes[index], image.shape[:2]))
            reason = f"its annotations are for {told} pixels, it has {found}: boxes and masks would not fit"
            raise BadImage(printable(str(self._files[index])), reason)
        return image

    def objects(self, index: int) -> Objects:
        found, size = self._annotations[index], self._sizes[index]
        masks = np.zeros((len(found), *size), dtype=bool)
        for number, (*_, segmentation) in enumerate(found):
            try:
                masks[number] = decode_mask(segmentation, size)
            except ValueError as error:
                where = f"mask {number} of image {self.name(index)}"
                raise BadImage(printable(str(self._path)), f"{where}: {error}") from error
        return Objects(
            np.array([box for _, box, _, _ in found], dtype=np.float32).reshape(-1, 4),
            np.array([label for label, _, _, _ in found], dtype=np.int64),
            np.array([crowd for _, _, crowd, _ in found], dtype=bool),
            masks,
        )


def _of_image(
    entries: list[Any], images: Sequence[int], labels: Mapping[int, int], where: str
) -> dict[int, list[Annotation]]:
    """Return the annotations of each image; those that cannot be used are left out, and a line says how many."""
    found: dict[int, list[Annotation]] = {number: [] for number in images}
    odd, elsewhere, empty = OddRows(where, "annotations"), 0, 0
    for place, entry in enumerate(entries):
        try:
            annotation = _annotation(entry, labels)
            if annotation is None:
                empty += 1
            elif entry["image_id"] in found:
                found[entry["image_id"]].append(annotation)
            else:
                elsewhere += 1
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            number = entry.get("id", place) if isinstance(entry, dict) else place
            odd.note(f"annotation {number}", f"{type(error).__name__} {error}")
    odd.settle(len(entries))
    if empty:
        say(f"{where}: {empty} of {len(entries)} annotations have no segmentation, and are left out as Detectron2 does")
    if elsewhere:
        say(f"{where}: {elsewhere} annotations are of images that it does not list")
    return found


def _annotation(entry: dict[str, Any], labels: Mapping[int, int]) -> Annotation | None:
    """Return an annotation, or None for one whose segmentation is empty: no polygon has three points."""
    left, top, width, height = map(float, entry["bbox"])
    box = (left, top, left + width, top + height)
    if not all(map(math.isfinite, box)):
        raise ValueError(f"its box is {entry['bbox']}")
    segmentation = entry["segmentation"]
    if isinstance(segmentation, list):  # arrays take a tenth of the memory of lists of numbers
        polygons = [np.array(polygon, dtype=np.float64) for polygon in segmentation]
        segmentation = [polygon for polygon in polygons if polygon.size >= 6]
        if not segmentation:
            return None
    return labels[entry["category_id"]], box, bool(entry.get("iscrowd", 0)), segmentation


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    try:
        contents = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is damaged, fetch it again: {error}") from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} is not in COCO's format: it holds a {type(contents).__name__}")
    return contents


def _is_here(root: Path) -> bool:
    return all(
        (root / "annotations" / f"instances_{split}2017.json").is_file() and (root / f"{split}2017").is_dir()
        for split in ("train", "val")
    )


COCO = Declaration(
    name="coco",
    kind="detection",
    layout="annotations/instances_train2017.json, annotations/instances_val2017.json, train2017/*.jpg, val2017/*.jpg",
    source="cocodataset.org: 2017 Train, 2017 Val and 2017 Train/Val annotations (annotations CC BY 4.0)",
    is_here=_is_here,
    open=Coco,
)
COCO_IMAGES = Declaration(
    name="coco_images",
    kind="images",
    layout=COCO.layout,
    source=COCO.source,
    is_here=_is_here,
    open=PhotographFolder,
)
