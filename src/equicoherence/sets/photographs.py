"""Any folder of photographs, for tasks that make their own ground truth."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from equicoherence.data.images import SUFFIXES, image_files
from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.files import read_image
from equicoherence.sets.kinds import SampleSet

SPLITS = (("train", "val"), ("train", "validation"), ("train", "test"), ("train2017", "val2017"))  # the first there
ENOUGH = 20  # images; a folder of fewer is no set of photographs, but has a picture or two beside other things


class Photographs(SampleSet):
    """The images below a folder, in order of their names, at their own sizes.

    Folders ``train`` and ``val``, ``validation`` or ``test``, or COCO's, are the splits; without them every fifth
    image, by a checksum of its name, is for scoring. Names that start with a dot are skipped, links are followed, and
    EXIF rotation is applied.
    """

    kind = "images"

    def __init__(self, root: Path, split: SetSplit) -> None:
        folders = split_folders(root)
        self._root = root if folders is None else folders[split]
        if not self._root.is_dir():
            raise FileNotFoundError(f"no folder {str(self._root)!r}")
        files = sorted(Path(*parts) for parts in image_files(self._root))
        if folders is None:
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


def split_folders(root: Path) -> dict[SetSplit, Path] | None:
    """Return the folders of both splits, or None where ``root`` is not split by folders."""
    for train, validation in SPLITS:
        if (root / train).is_dir() and (root / validation).is_dir():
            return {"train": root / train, "val": root / validation}
    return None


def is_here(root: Path) -> bool:
    """Say whether 20 images lie in a folder (or its ``train``) or in the first folders there, one or two levels down.

    Few files are looked at.
    """
    folders = split_folders(root)
    return len(list(islice(_some_images(root if folders is None else folders["train"], 2), ENOUGH))) == ENOUGH


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
    layout="at least 20 images in a folder, or in folders there; train/ and val/ (or validation/, test/) are followed",
    source="wherever you have photographs",
    is_here=is_here,
    open=Photographs,
    order="~",  # last: what another declares is more than photographs
)
