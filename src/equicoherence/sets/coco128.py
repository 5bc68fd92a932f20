"""coco128: 128 training and 128 validation images of COCO 2017 with boxes in YOLO's text files, for trying things out.

It is not a benchmark: scores of so few images show whether detection works, not how good an encoder is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import in_order, read_bytes, read_image
from equicoherence.sets.kinds import DetectionSet, Objects

NAMES = "object_detection_config.yaml"


class Coco128(DetectionSet):
    """Boxes alone: the polygons that may lie beside them have other ids and outlines. No file of boxes: no objects."""

    has_masks = False

    def __init__(self, root: Path, split: str) -> None:
        self.classes = _classes(_names(root))
        folder = root / "images" / f"{split}2017"
        self._boxes = root / _boxes(root) / f"{split}2017"
        self._files = in_order(folder.glob("*.jpg"))
        self._sizes: dict[int, tuple[int, ...]] = {}  # boxes are in shares of these
        if not self._files:
            raise FileNotFoundError(f"no files *.jpg in {str(folder)!r}")
        if not any(self._boxes.glob("*.txt")):
            raise FileNotFoundError(f"no files *.txt in {str(self._boxes)!r}")

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return printable(self._files[index].stem)

    def image(self, index: int) -> np.ndarray:
        return read_image(self._files[index])

    def objects(self, index: int) -> Objects:
        path = self._boxes / f"{self._files[index].stem}.txt"
        lines = read_bytes(path).decode("utf-8", "replace").splitlines() if path.exists() else []
        if index not in self._sizes:
            self._sizes[index] = self.image(index).shape[:2]
        height, width = self._sizes[index]
        labels, boxes = np.zeros(len(lines), np.int64), np.zeros((len(lines), 4), np.float32)
        for number, line in enumerate(lines):
            try:
                label, x, y, across, along = line.split()
                boxes[number] = np.array([x, y, x, y], float) + np.array([-0.5, -0.5, 0.5, 0.5]) * np.array(
                    [across, along, across, along], float
                )
                labels[number] = int(label)
            except ValueError:
                raise BadImage(printable(str(path)), f"line {number + 1} is no class and box: {line!r:.60}") from None
            if not 0 <= labels[number] < len(self.classes) or not np.isfinite(boxes[number]).all():
                raise BadImage(printable(str(path)), f"line {number + 1} is out of range: {line!r:.60}")
        return Objects(boxes * np.array([width, height, width, height], np.float32), labels, np.zeros(len(lines), bool))


def _boxes(root: Path) -> str:
    """Return the name of the folder of boxes; in the published layout they are called labels."""
    return "boxes" if (root / "boxes").is_dir() else "labels"


def _names(root: Path) -> Path:
    """Return the file that names the classes: the one of boxes where several lie there."""
    found = [root / NAMES] if (root / NAMES).is_file() else sorted(root.glob("*.yaml"))
    if not found:
        raise FileNotFoundError(f"no file *.yaml in {str(root)!r}, which names the classes")
    return found[0]


def _classes(path: Path) -> tuple[str, ...]:
    import yaml  # here, so that declarations are listed at once

    try:
        names = yaml.safe_load(path.read_text(encoding="utf-8"))["names"]
        return tuple(str(names[label]) for label in range(len(names)))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no names of the classes 0, 1, 2, ...: {error}") from error


def _is_here(root: Path) -> bool:
    folders = [root / kind / f"{split}2017" for kind in ("images", _boxes(root)) for split in ("train", "val")]
    if not all(folder.is_dir() for folder in folders) or not any(root.glob("*.yaml")):
        return False
    # polygons lie in folders of the same names; a box is a class and four numbers
    lines = (read_bytes(path).split(b"\n")[0].split() for path in folders[-1].glob("*.txt"))
    return len(next((fields for fields in lines if fields), [])) == 5


COCO128 = Declaration(
    name="coco128",
    kind="detection",
    layout=f"images/train2017/*.jpg, images/val2017/*.jpg, boxes/train2017/*.txt, boxes/val2017/*.txt (or labels/), "
    f"{NAMES} (or another *.yaml)",
    source="github.com/lightly-ai/coco128_yolo, folder object_detection "
    "(annotations CC BY 4.0); to try out, no benchmark",
    is_here=_is_here,
    open=Coco128,
)
