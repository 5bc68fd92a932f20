"""3DIEBench and rendered sets in its layout: images of objects with the pose of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from equicoherence.data.decoding import decode
from equicoherence.data.poses.index import load_index
from equicoherence.data.poses.objects import find_objects
from equicoherence.data.source import BadImage, ImageSource, Origin, Sample, Split, printable, size_of_file


class ThreeDIEBench(ImageSource):
    """All views of the objects in ``ROOT/SYNSET/OBJECT/image_I.jpg``, with ``latent_I.npy`` beside each.

    The layout is that of 3DIEBench (Garrido, Najman, LeCun 2023; CC-BY-NC) and of `equicoherence.rendering`. Images
    are in the order of the objects (by name) and views. Objects are split by the published files where they lie in
    ``ROOT`` (``train_images.npy``, ``val_images.npy``), else every fifth of a class is ``val``. Latents are read once
    and kept in the cache folder; what cannot be used is left out and counted, on the screen, that once: views without
    a whole latent, and objects with fewer than 2 views. A damaged image is for `Loader` to find.

    Args:
        root: The folder.
        split: ``"train"``, ``"val"`` or ``"all"``.

    Raises:
        FileNotFoundError: no folder, or one of the split files is missing.
        ValueError: no such split, nothing in it that can be used, or a split file that is not as published.
    """

    objects: np.ndarray
    """(N,) int64, which object is seen, from 0 in this split."""
    views: np.ndarray
    """(N,) int32, number of the view: I of ``image_I.jpg``."""
    latents: np.ndarray
    """(N, 7) float32: rotation x, y, z in radians, extrinsic; floor hue; light theta, phi, hue. (N, 10) in 3DIEBench-T:
    translation x, y, z behind them. Read-only, mapped from the cache."""
    first: np.ndarray
    """(O + 1,) int64, first image of each object; the last is N."""

    def __init__(self, root: str | Path, split: Split = "all") -> None:
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {', '.join(map(repr, get_args(Split)))}, got {split!r}")
        self.root = Path(root).expanduser()
        found = find_objects(self.root)
        self.index = load_index(found).part(split)
        if not len(self.index.objects):
            raise ValueError(
                f"split {split!r} of {str(root)!r} holds no object with 2 views: put its objects there, or use 'all'"
            )
        held_out = "the objects of val_images.npy" if found.published else "every fifth object of a class"
        self.origin = Origin("" if split == "all" else held_out, split)
        self.classes = found.classes
        self.views, self.latents, self.first = self.index.views, self.index.latents, self.index.first
        label = {name: number for number, name in enumerate(self.classes)}
        of_object = [label[os.fsdecode(name).split("/")[0]] for name in self.index.objects.tolist()]
        counts = np.diff(self.first)
        self.labels = np.repeat(np.array(of_object, dtype=np.int64), counts)
        self.objects = np.repeat(np.arange(len(counts)), counts)

    def __len__(self) -> int:
        return len(self.views)

    def object_name(self, number: int) -> str:
        """Return ``SYNSET/OBJECT`` of an object by its number in ``objects``."""
        return os.fsdecode(self.index.objects[number])

    def name(self, index: int) -> str:
        return printable(self._file(index))

    def load(self, index: int, size: int) -> Sample:
        return load_image(self.root, self._file(index), size)

    def file_size(self, index: int) -> int | None:
        return size_of_file(self.root / self._file(index))

    def substitutes(self, index: int) -> Iterator[int]:
        """Yield the other views of the same object first."""
        number = int(self.objects[index])
        yield from turned(int(self.first[number]), int(self.first[number + 1]), index)
        yield from super().substitutes(index)

    def _file(self, index: int) -> str:
        return f"{self.object_name(int(self.objects[index]))}/image_{self.views[index]}.jpg"


def turned(start: int, stop: int, index: int) -> Iterator[int]:
    """Yield start to stop - 1, beginning with ``index`` and going round."""
    for shift in range(stop - start):
        yield start + (index - start + shift) % (stop - start)


def load_image(root: Path, file: str, size: int) -> Sample:
    """Decode an image file below ``root``. Raises `BadImage` where it cannot be read."""
    try:
        data = (root / file).read_bytes()
    except OSError as error:
        raise BadImage(printable(file), f"cannot be read: {error.strerror}") from error
    return decode(data, size, printable(file))
