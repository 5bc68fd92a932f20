"""Any folder of photographs, for tasks that make their own ground truth."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from equicoherence.data.images import SUFFIXES, image_files
from equicoherence.data.layout import find_layout
from equicoherence.data.passed_over import PassedOver
from equicoherence.data.source import printable
from equicoherence.notice import say
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.files import in_order, read_image
from equicoherence.sets.kinds import SampleSet

ENOUGH = 20  # images; a folder of fewer is no set of photographs, but has a picture or two beside other things


class PhotographFolder(SampleSet):
    """The images below a folder, in order of their names, at their own sizes.

    Folders for training and held out, as `find_layout` knows them, are the splits; without them every fifth image, by a
    checksum of its name, is for scoring. Names that start with a dot are skipped, links are followed, and EXIF rotation
    is applied. Lines on standard error say what is passed over.
    """

    kind = "images"

    def __init__(self, root: Path, split: SetSplit) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"no folder {str(root)!r}")
        layout, passed_over = find_layout(root), PassedOver()
        self._root = layout.sides[split == "val"] if layout.sides else layout.folder
        files = in_order(Path(*parts) for parts in image_files(self._root, passed_over))
        for remark in layout.remarks if split == "val" else ():  # which is always opened
            say(f"{root}: {remark}")
        if passed_over:
            say(f"{self._root}, not read: {passed_over.words()}")
        if not layout.sides:
            files = [name for name in files if (zlib.crc32(bytes(name)) % 5 == 0) == (split == "val")]
        if not files:
            raise ValueError(f"no images for {split} in {str(self._root)!r}: files end in {' '.join(sorted(SUFFIXES))}")
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return printable(self._files[index].as_posix())

    def image(self, index: int) -> np.ndarray:
        return read_image(self._root / self._files[index], turn=True)


def is_here(root: Path) -> bool:
    """Say whether 20 images lie in a folder (or that for training) or in the first folders there, one or two levels
    down.

    Few files are looked at.
    """
    try:
        layout = find_layout(root)
        first = layout.sides[0] if layout.sides else layout.folder
    except ValueError:  # its sides are unknown; opening it raises the reason
        first = root
    return len(list(islice(_some_images(first, 2), ENOUGH))) == ENOUGH


def _some_images(folder: Path, depth: int) -> Iterator[Path]:
    below = []
    for entry in islice(folder.iterdir(), 1000):
        if entry.name.startswith("."):
            continue
        if entry.suffix.lower() in SUFFIXES and entry.is_file():
            yield entry
        elif entry.is_dir():
            below.append(entry)
    for entry in sorted(below)[:4] if depth else []:
        yield from _some_images(entry, depth - 1)


PHOTOGRAPHS = Declaration(
    name="photographs",
    kind="images",
    layout="at least 20 images in a folder, or in folders there; train/ and val/ (or other usual names) are followed",
    source="wherever you have photographs",
    is_here=is_here,
    open=PhotographFolder,
    order="~",  # last: what another declares is more than photographs
)
