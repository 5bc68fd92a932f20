"""NYU Depth v2's labelled images, from the one file they are published in (Silberman and others, ECCV 2012)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.kinds import DepthSet
from equicoherence.sets.nyuv2 import LIMITS

FILE = "nyu_depth_v2_labeled.mat"
SPLIT_FILE = "splits.mat"
LISTS = {"train": "train.txt", "val": "test.txt"}
VARIABLES = {"train": "trainNdxs", "val": "testNdxs"}


class NYUv2Labelled(DepthSet):
    """795 images for training, 654 for the scores, up to 10 m within Eigen's crop.

    Depth is what the sensor measured (``rawDepths``), as in the scores of BTS and those after it; not the filled
    ``depths``. Numbers of images count from 1, as in the file.
    """

    limits = LIMITS
    crop = "eigen"

    def __init__(self, root: Path, split: str) -> None:
        path = root / FILE
        self._path = printable(str(path))
        self._images, self._depths = _open(path)
        self._numbers = _split(root, split)
        count = len(self._images)
        if self._numbers.min() < 1 or self._numbers.max() > count:
            wrong = self._numbers[(self._numbers < 1) | (self._numbers > count)][0]
            raise ValueError(f"the split names image {wrong}, but {str(path)!r} holds 1 to {count}")

    def __len__(self) -> int:
        return len(self._numbers)

    def name(self, index: int) -> str:
        return f"{self._numbers[index]:04}"

    def image(self, index: int) -> np.ndarray:
        return np.ascontiguousarray(self._read(self._images, index).transpose(2, 1, 0))

    def depth(self, index: int) -> np.ndarray:
        depth = np.ascontiguousarray(self._read(self._depths, index).T, dtype=np.float32)
        return np.where(np.isfinite(depth), depth, 0)

    def _read(self, array: Any, index: int) -> np.ndarray:
        """Read one image; h5py lets one thread at a time in."""
        try:
            return array[self._numbers[index] - 1]
        except (OSError, RuntimeError) as error:
            raise BadImage(f"{self._path}, image {self._numbers[index]}", printable(str(error))) from error


def _open(path: Path) -> tuple[Any, Any]:
    """Return images (N, 3, W, H) uint8 and depths (N, W, H) as h5py has them: MATLAB counts axes the other way."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs h5py: pip install 'equicoherence[matlab]'") from error
    if not path.is_file():
        raise FileNotFoundError(f"no file at {str(path)!r}")
    try:
        file = h5py.File(path, "r")
        images, depths = file["images"], file["rawDepths"]
    except (OSError, KeyError) as error:
        raise ValueError(f"{str(path)!r} cannot be used, fetch it again: {printable(str(error))}") from error
    shapes = [getattr(array, "shape", ()) for array in (images, depths)]
    if len(shapes[0]) != 4 or shapes[0][1] != 3 or shapes[1] != (shapes[0][0], *shapes[0][2:]):
        raise ValueError(
            f"{str(path)!r} holds images of shape {shapes[0]} and rawDepths of {shapes[1]}; (N, 3, W, H) and (N, W, H) "
            "are needed"
        )
    return images, depths


def _split(root: Path, split: str) -> np.ndarray:
    """Return the numbers of a split's images (N,), from 1."""
    path, lists = root / SPLIT_FILE, root / LISTS[split]
    if lists.is_file():
        path, words = lists, lists.read_text(encoding="utf-8", errors="replace").split()
        if wrong := [word for word in words if not word.isdecimal()]:
            raise ValueError(
                f"{str(path)!r} holds {printable(wrong[0])!r}: a number of an image is needed in each line"
            )
        numbers = np.array([int(word) for word in words], dtype=np.int64)
    elif path.is_file():
        numbers = _from_matlab(path, VARIABLES[split])
    else:
        raise FileNotFoundError(
            f"no split in {str(root)!r}: neither {SPLIT_FILE} with trainNdxs and testNdxs, nor train.txt and test.txt "
            "with the number of an image, from 1, in each line"
        )
    if not len(numbers):
        raise ValueError(f"{str(path)!r} names no image for {split}")
    return np.sort(numbers)


def _from_matlab(path: Path, variable: str) -> np.ndarray:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(
            f"reading {path.name} needs SciPy: pip install 'equicoherence[matlab]'; or write train.txt and test.txt "
            "beside it, with the number of an image, from 1, in each line"
        ) from error
    try:
        return np.asarray(loadmat(path)[variable], dtype=np.int64).ravel()
    except Exception as error:  # a damaged file makes SciPy raise anything
        raise ValueError(f"{str(path)!r} cannot be read ({type(error).__name__}: {printable(str(error))})") from error


def _is_here(root: Path) -> bool:
    return (root / FILE).is_file()


NYUV2_LABELLED = Declaration(
    name="nyuv2_labelled",
    kind="depth",
    layout=f"{FILE}, {SPLIT_FILE} (or train.txt and test.txt)",
    source="cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html; splits.mat: the folder indoor_seg_sup beside it, or "
    "github.com/cleinc/bts, folder utils",
    is_here=_is_here,
    open=NYUv2Labelled,
)
