"""Tiny-ImageNet: 64 pixel images of 200 classes, each with the box of its object (Stanford CS231N)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equicoherence.data.archive import ARCHIVE_SUFFIXES, unpack_archive
from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import inside, read_image, refuse_missing
from equicoherence.sets.kinds import BoxSet
from equicoherence.sets.odd_rows import OddRows

TABLE = "boxes.tsv"
ANNOTATIONS = "val_annotations.txt"


class TinyImageNetBoxes(BoxSet):
    """The published layout; or a table ``boxes.tsv`` (path, x0, y0, x1, y1) beside ``train/`` and ``val/``, or beside
    the one archive that holds them.

    The last pixel of a box belongs to it in these files: 0 to 63 is the whole image.
    """

    def __init__(self, root: Path, split: str) -> None:
        rows = list(_from_table(root, split) if (root / TABLE).is_file() else _published(root, split))
        if not rows:
            raise ValueError(f"{str(root)!r} lists no boxes of {split}")
        self._files = [path for path, _ in rows]
        self._boxes = np.array([box for _, box in rows], dtype=np.float32) + np.array([0, 0, 1, 1], np.float32)
        refuse_missing(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return printable(self._files[index].stem)

    def image(self, index: int) -> np.ndarray:
        return read_image(self._files[index])

    def box(self, index: int) -> np.ndarray:
        return self._boxes[index].copy()


def _published(root: Path, split: str) -> Iterator[tuple[Path, list[float]]]:
    """Yield files and boxes of ``train/WNID/WNID_boxes.txt`` or ``val/val_annotations.txt``."""
    if split == "val":
        yield from (
            (inside(root / "val" / "images", name), box) for name, box in _table(root / "val" / ANNOTATIONS, before=2)
        )
        return
    for folder in sorted(path for path in (root / "train").iterdir() if path.is_dir()):
        for name, box in _table(folder / f"{folder.name}_boxes.txt", before=1):
            yield inside(folder / "images", name), box


def _from_table(root: Path, split: str) -> Iterator[tuple[Path, list[float]]]:
    """Yield files and boxes of ``boxes.tsv``; images lie beside it or in the one archive there."""
    images = root if (root / split).is_dir() else unpack_archive(_archive(root))
    for name, box in _table(root / TABLE, before=1, header=True):
        if name.startswith(f"{split}/"):
            yield inside(images, name), box


def _archive(root: Path) -> Path:
    found = [path for path in sorted(root.iterdir()) if path.name.lower().endswith(ARCHIVE_SUFFIXES)]
    if len(found) != 1:
        raise FileNotFoundError(
            f"{str(root / TABLE)!r} needs train/ and val/ or one archive beside it, not {len(found)}"
        )
    return found[0]


def _table(path: Path, before: int, *, header: bool = False) -> Iterator[tuple[str, list[float]]]:
    """Yield the first column and the box of each line; ``before`` columns come before the box."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[header:]
    odd = OddRows(str(path), "lines")
    for number, line in enumerate(lines, 1 + header):
        columns = line.split("\t")
        try:
            left, top, right, bottom = map(float, columns[before:])
        except ValueError:
            odd.note(f"line {number}", f"no box of 4 numbers: {line!r:.80}")
            continue
        if 0 <= left <= right < math.inf and 0 <= top <= bottom < math.inf:
            yield columns[0], [left, top, right, bottom]
        else:
            odd.note(f"line {number}", f"no box that spans any pixels: {line!r:.80}")
    odd.settle(len(lines))


def _is_here(root: Path) -> bool:
    if not root.is_dir():
        return False
    if not (root / TABLE).is_file():
        return (root / "val" / ANNOTATIONS).is_file() and (root / "train").is_dir()
    return (root / "train").is_dir() or any(path.name.lower().endswith(ARCHIVE_SUFFIXES) for path in root.iterdir())


TINY_IMAGENET_BOXES = Declaration(
    name="tiny_imagenet_boxes",
    kind="box",
    layout=f"train/WNID/images/*.JPEG, train/WNID/WNID_boxes.txt, val/images/*.JPEG, val/{ANNOTATIONS}; "
    f"or {TABLE} beside train/ and val/ or the archive of them",
    source="cs231n.stanford.edu/tiny-imagenet-200.zip (ImageNet's terms: research and education, not commercial)",
    is_here=_is_here,
    open=TinyImageNetBoxes,
)
