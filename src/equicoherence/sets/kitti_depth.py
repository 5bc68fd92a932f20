"""KITTI: drives with depth from a laser scanner, gathered over frames (Geiger 2012; Uhrig and others, 3DV 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.depth_png import read_depth
from equicoherence.sets.files import in_order, inside, read_image, refuse_missing
from equicoherence.sets.kinds import DepthSet
from equicoherence.sets.odd_rows import OddRows

LISTS = {"train": "*eigen_train_files_with_gt.txt", "val": "*eigen_test_files_with_gt.txt"}
DEPTHS = "proj_depth/groundtruth/image_02"
ANNOTATED = "data_depth_annotated"


class KittiDepth(DepthSet):
    """Frames of the left color camera that have a depth map, scored up to 80 m within Garg's crop.

    The split is Eigen's (697 test frames, of which 652 have depth) where the lists of BTS lie in the folder, each line
    an image, a depth map or "None" and a focal length; else KITTI's own drives in ``train`` and ``val``, all frames.
    Images are whole: no crop to 352 x 1216 is made before.
    """

    limits = (0.001, 80.0)
    crop = "garg"

    def __init__(self, root: Path, split: str) -> None:
        listed = _lists(root)
        self.variant = listed[split].name if listed else ""
        pairs = _of_list(root, listed[split]) if listed else _of_folders(root, split)
        refuse_missing([path for pair in pairs for path in pair])
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, index: int) -> str:
        image, _ = self._pairs[index]
        return printable(f"{image.parents[2].name}/{image.stem}")

    def image(self, index: int) -> np.ndarray:
        return read_image(self._pairs[index][0])

    def depth(self, index: int) -> np.ndarray:
        return read_depth(self._pairs[index][1], 256)


def _lists(root: Path) -> dict[str, Path]:
    found = {split: sorted(root.glob(pattern)) for split, pattern in LISTS.items()}
    if not any(found.values()):
        return {}
    for split, paths in found.items():
        if len(paths) != 1:
            raise FileNotFoundError(
                f"{len(paths)} files {LISTS[split]} in {str(root)!r}: put one list for training and one for testing "
                "there, or none for KITTI's own split"
            )
    return {split: paths[0] for split, paths in found.items()}


def _of_list(root: Path, path: Path) -> list[tuple[Path, Path]]:
    pairs, odd = [], OddRows(str(path), "lines")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if len(fields) == 1:
            odd.note(f"line {number}", f"{line!r}, but an image and a depth map are needed")
        elif fields and fields[1] != "None":
            image, depth = (name.lstrip("/") for name in fields[:2])
            places = [inside(folder, depth) for folder in _depth_folders(root)]
            pairs.append((inside(root, image), next((place for place in places if place.is_file()), places[0])))
    odd.settle(len(lines))
    if not pairs:
        raise ValueError(f"{str(path)!r} lists no frame with a depth map")
    return pairs


def _of_folders(root: Path, split: str) -> list[tuple[Path, Path]]:
    """Pair each depth map with its image: 2011_09_26_drive_0001_sync lies in the folder of its date."""
    folders = [folder for folder in _depth_folders(root) if folder.name == split]
    depths = in_order(path for folder in folders for path in folder.glob(f"*_sync/{DEPTHS}/*.png"))
    if not depths:
        looked = " or ".join(repr(str(folder)) for folder in folders)
        raise FileNotFoundError(f"no files *_sync/{DEPTHS}/*.png in {looked}")
    drives = [path.parents[3].name for path in depths]
    return [(root / drive[:10] / drive / "image_02" / "data" / path.name, path) for drive, path in zip(drives, depths)]


def _is_here(root: Path) -> bool:
    return any((drive / DEPTHS).is_dir() for drive in _drives(root))


def _drives(root: Path) -> Iterator[Path]:
    for folder in _depth_folders(root):
        yield from folder.glob("*_sync")


def _depth_folders(root: Path) -> list[Path]:
    """Return where the drives' depth maps may lie: KITTI's own folders, or beside the images as BTS has them."""
    above = (root, root / ANNOTATED)
    return [*above, *(folder / split for folder in above for split in ("train", "val"))]


KITTI_DEPTH = Declaration(
    name="kitti_depth",
    kind="depth",
    layout="2011_09_26/2011_09_26_drive_0001_sync/image_02/data/*.png, train/ and val/ (also in "
    f"data_depth_annotated/) with 2011_09_26_drive_0001_sync/{DEPTHS}/*.png; for Eigen's split "
    "eigen_train_files_with_gt.txt and eigen_test_files_with_gt.txt beside them",
    source="cvlibs.net/datasets/kitti, raw data (synced) and depth prediction (CC BY-NC-SA); lists from "
    "github.com/cleinc/bts",
    is_here=_is_here,
    open=KittiDepth,
)
