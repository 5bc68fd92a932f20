"""Views of sets that ``equicoherence render`` wrote: images and arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from equicoherence.data.npy import read_npz
from equicoherence.data.poses.objects import find_objects
from equicoherence.data.source import BadImage, printable
from equicoherence.sets.files import read_image, refuse_missing
from equicoherence.sets.kinds import SampleSet

_VIEW = re.compile(r"(path_(0|[1-9]\d{0,8})_)?image_(0|[1-9]\d{0,8})\.jpg")


class RenderedViews(SampleSet):
    """Abstract base: all views of the objects of a split, object after object.

    with_states: whether the states of paths between views are among them, behind the views of their object.

    Raises FileNotFoundError where there are none, and ValueError where dense.npz is missing beside them.
    """

    with_states: ClassVar[bool] = False

    def __init__(self, root: Path, split: str) -> None:
        found = find_objects(root)
        names = found.names[: found.training] if split == "train" else found.names[found.training :]
        self._root = root
        self._views = [(name, view) for name in names for view in _views(root / name, self.with_states)]
        if not self._views:
            raise FileNotFoundError(f"no files CATEGORY/OBJECT/image_0.jpg of {split} in {str(root)!r}")
        refuse_missing([root / name / "dense.npz" for name in dict.fromkeys(name for name, _ in self._views)])

    def __len__(self) -> int:
        return len(self._views)

    def name(self, index: int) -> str:
        name, view = self._views[index]
        return printable(f"{name}/{view}")

    def image(self, index: int) -> np.ndarray:
        return read_image(self._file(index, "image", ".jpg"))

    def dense(self, index: int, what: str) -> np.ndarray:
        """Return a view's array of a kind, ``depth``, ``normals`` or ``mask``; `BadImage` where it cannot be read."""
        return self.of_object(index, f"{what}_{self._views[index][1]}")

    def _file(self, index: int, what: str, suffix: str) -> Path:
        """Return a view's file of a kind, ``image`` or ``latent``."""
        name, view = self._views[index]
        path, _, number = view.rpartition("_")
        return self._root / name / f"{path}{'_' if path else ''}{what}_{number}{suffix}"

    def of_object(self, index: int, member: str) -> np.ndarray:
        """Return an array that a view's object has, such as ``depth_step``; `BadImage` where it cannot be read."""
        return read_dense(self._root / self._views[index][0], member)


def read_dense(folder: Path, member: str) -> np.ndarray:
    """Return an array of an object's dense.npz; `BadImage` where it cannot be read."""
    path = folder / "dense.npz"
    try:
        return read_npz(path, member)[member]
    except (OSError, ValueError) as error:
        reason = printable(str(error)) or type(error).__name__
        raise BadImage(printable(str(path)), f"{member} cannot be read: {reason}") from error


def is_rendered(root: Path) -> bool:
    """Say whether a folder holds a rendered set."""
    return all((root / name).is_file() for name in ("render.yaml", "train_images.npy", "val_images.npy"))


def _views(folder: Path, with_states: bool) -> list[str]:
    """Return the views of an object by number, "3", and behind them the states of its paths, "path_0_3"."""
    matches = [match for path in folder.iterdir() if (match := _VIEW.fullmatch(path.name))]
    keys = sorted((int(match[2] or -1), int(match[3])) for match in matches if with_states or not match[1])
    return [f"{number}" if path < 0 else f"path_{path}_{number}" for path, number in keys]
