"""7-Scenes: a Kinect carried through rooms (Shotton and others, CVPR 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.depth_png import read_depth
from equicoherence.sets.files import in_order, read_image, refuse_missing
from equicoherence.sets.kinds import DepthSet

SPLIT_FILES = {"train": "TrainSplit.txt", "val": "TestSplit.txt"}
FOLDERS = {"train": "train", "val": "test"}


class SevenScenes(DepthSet):
    """One scene. Its published sequences, split by its two lists, or frames laid out in ``train`` and ``test``.

    Depths are used as they lie there: in the published sequences the depth camera stands a few centimetres beside the
    color camera and its images are not brought over, so that borders of objects are some pixels off.
    """

    limits = (0.001, 10.0)

    def __init__(self, root: Path, split: str) -> None:
        folders = _sequences(root, split) if (root / SPLIT_FILES[split]).is_file() else [root / FOLDERS[split]]
        self._root = root
        self._images = [path for folder in folders for path in _frames(folder)]
        self._depths = [path.with_name(f"{path.name.split('.')[0]}.depth.png") for path in self._images]
        refuse_missing(self._depths)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        path = self._images[index]
        return printable(f"{path.parent.name}/{path.name.split('.')[0]}")

    def image(self, index: int) -> np.ndarray:
        return read_image(self._images[index])

    def depth(self, index: int) -> np.ndarray:
        return read_depth(self._depths[index], 1000)


def _sequences(root: Path, split: str) -> Sequence[Path]:
    """Return the folders a list names: ``sequence3`` is seq-03."""
    path = root / SPLIT_FILES[split]
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    wrong = [line for line in lines if not line.removeprefix("sequence").isdecimal()]
    if wrong or not lines:
        what = f"holds {printable(wrong[0])!r}" if wrong else "is empty"
        raise ValueError(f"{str(path)!r} {what}: lines such as sequence1 are needed")
    return [root / f"seq-{int(line.removeprefix('sequence')):02}" for line in lines]


def _frames(folder: Path) -> list[Path]:
    archive = folder.with_name(f"{folder.name}.zip")
    if not folder.is_dir() and archive.is_file():
        raise FileNotFoundError(f"no folder {str(folder)!r}: unpack {archive.name}, which lies beside it")
    found = in_order([*folder.glob("frame-*.color.jpg"), *folder.glob("frame-*.color.png")]) if folder.is_dir() else []
    if not found:
        raise FileNotFoundError(f"no files frame-*.color.png or frame-*.color.jpg in {str(folder)!r}")
    return found


def _is_here(root: Path) -> bool:
    if any((root / name).is_file() for name in SPLIT_FILES.values()):
        # still packed sequences are the data set too; opening it says which archive to unpack
        return any(path.is_dir() or path.suffix == ".zip" for path in root.glob("seq-*"))
    return all((root / name).is_dir() and any((root / name).glob("frame-*.color.*")) for name in FOLDERS.values())


SEVEN_SCENES = Declaration(
    name="7scenes",
    kind="depth",
    layout="seq-01/frame-000000.color.png (or .jpg), .depth.png; TrainSplit.txt, TestSplit.txt; or the "
    "frames in train/ and test/",
    source="microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes, one scene (non-commercial)",
    is_here=_is_here,
    open=SevenScenes,
)
