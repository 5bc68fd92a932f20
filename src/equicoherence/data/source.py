"""The interface of data sets: numbered images with labels, decoded one at a time."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from equicoherence.data.passed_over import PassedOver
from equicoherence.data.pixel_format import PixelFormat

Split = Literal["train", "val", "all"]


SIZES = 256  # of files that are looked up, about
TOLERANCES = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # shares that are advised where more is bad than allowed


@dataclass(frozen=True)
class Sample:
    """One decoded image: the whole image, resized to a square; ``aspect`` is its original aspect."""

    pixels: np.ndarray
    """(S, S, C) of its source's format, uint8 RGB of most; nothing is cropped or padded."""
    aspect: float
    """Width / height of the original, after EXIF rotation."""
    side: int
    """Pixels of the original's shorter side: where they are fewer than S, the image was enlarged."""


class BadImage(Exception):
    """Error for an image that cannot be decoded: its ``name`` and the ``reason``."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class UnusableData(RuntimeError):
    """Say, of data that are being worked on, why nothing can come of them: nothing to learn, or nothing to score."""


class TooManyBadImages(RuntimeError):
    """List the images that cannot be decoded (``bad``: name -> reason) when they exceed the tolerated share.

    tolerable: a share that leaves room for more than those found so far, None if no image at all is good.
    """

    def __init__(self, bad: dict[str, str], total: int, tolerance: float) -> None:
        self.bad, share = dict(bad), len(bad) / total
        self.tolerable = next((step for step in TOLERANCES if step >= 2 * share), 1.0) if share < 1 else None
        lines = [f"  {name}: {reason}" for name, reason in sorted(bad.items())]
        if len(lines) > 20:
            lines = [*lines[:20], f"  ... and {len(lines) - 20} more"]
        self._found = (
            f"{len(bad)} of {total} images cannot be decoded so far ({share:.3%}), "
            f"more than bad_image_tolerance = {tolerance:g} ({tolerance:.3%}) allows:\n" + "\n".join(lines)
        )
        if self.tolerable is None:
            self._found = f"none of {total} images can be decoded:\n" + "\n".join(lines)
            super().__init__(f"{self._found}\nRepair them, or give other images with --data.")
        else:
            super().__init__(
                f"{self._found}\nRepair them, or go on without them: --bad-image-tolerance {self.tolerable:g}"
            )

    def advised(self, advice: str) -> TooManyBadImages:
        """Return the same with other advice."""
        self.args = (f"{self._found}\nRepair them, or {advice}",)
        return self


@dataclass(frozen=True)
class Origin:
    """How the images of a source were selected and split.

    held_out: where the held-out images are, in words; "" if there are none.
    side: which split these images are.
    comes_split: whether the data have a validation split of their own.
    count: number of held-out images, if known.
    remarks: further notices for the user.
    """

    held_out: str = ""
    side: Split = "all"
    comes_split: bool = False
    count: int | None = None
    remarks: tuple[str, ...] = ()


class ImageSource(abc.ABC):
    """A fixed, ordered list of images. ``load`` may be called from many threads at once."""

    labels: np.ndarray
    """(N,) int64 index into ``classes``, -1 where unknown."""
    classes: list[str]
    """Class names in the order of their labels, [] where there are none."""
    origin: Origin = Origin()
    """How the images were selected and split; `describe_images` prints it."""
    passed_over: PassedOver = PassedOver()
    """What lies there and is no image of this source."""
    format: PixelFormat = PixelFormat()
    """Channels and bits of all of them."""

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def name(self, index: int) -> str:
        """Return a readable name of an image: printable, on one line, the same on every machine."""

    def sample(self, index: int) -> str:
        """Return the name of what an image belongs to, such as a pair of stereo images: no split divides it."""
        return self.name(index)

    @abc.abstractmethod
    def load(self, index: int, size: int) -> Sample:
        """Decode one image to ``size`` x ``size``.

        Raises:
            BadImage: the image cannot be read or decoded.
        """

    def file_size(self, index: int) -> int | None:
        """Return the bytes of the file of one image, None if it has none, or it is gone."""
        return None

    def substitutes(self, index: int) -> Iterator[int]:
        """Yield an image itself, then those that may stand in for it where it is bad, best first: the ones after it."""
        for shift in range(len(self)):
            yield (index + shift) % len(self)


class Subset(ImageSource):
    """Some images of another source, optionally with its labels expressed in another list of classes.

    Args:
        source: Where the images come from.
        indices: (M,) which of them, in order.
        classes: The class list to use; classes of ``source`` are found in it by name. Default: that of ``source``.

    Raises:
        ValueError: a class that occurs among the images is missing from ``classes``.
    """

    def __init__(self, source: ImageSource, indices: np.ndarray, classes: Sequence[str] | None = None) -> None:
        self._source = source
        self._indices = np.asarray(indices, dtype=np.int64)
        self.origin, self.passed_over, self.format = source.origin, source.passed_over, source.format
        self.classes = list(source.classes if classes is None else classes)
        self.labels = source.labels[self._indices]
        if classes is not None:
            self.labels = translate_labels(self.labels, source.classes, self.classes)

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        return self._source.name(int(self._indices[index]))

    def sample(self, index: int) -> str:
        return self._source.sample(int(self._indices[index]))

    def load(self, index: int, size: int) -> Sample:
        return self._source.load(int(self._indices[index]), size)

    def file_size(self, index: int) -> int | None:
        return self._source.file_size(int(self._indices[index]))


def translate_labels(labels: np.ndarray, own: Sequence[str], target: Sequence[str]) -> np.ndarray:
    """Express labels (N,) that index ``own`` as indices into ``target``, by class name; -1 stays -1.

    Raises:
        ValueError: a class in use is missing from ``target``.
    """
    position = {name: label for label, name in enumerate(target)}
    missing = [own[label] for label in np.unique(labels[labels >= 0]) if own[label] not in position]
    if missing:
        shown = ", ".join(repr(name) for name in missing[:20]) + (", ..." if len(missing) > 20 else "")
        raise ValueError(f"{len(missing)} classes are not among the {len(target)} known ones: {shown}")
    table = np.array([position.get(name, -1) for name in own] + [-1], dtype=np.int64)  # label -1 reads the last entry
    return table[labels]


def size_of_file(path: Path) -> int | None:
    """Return the bytes of a file, None if it cannot be found."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def some_sizes(source: ImageSource) -> list[int | None]:
    """Return the sizes of the files of some images, evenly spread, by which other files of the same names differ."""
    return [source.file_size(index) for index in range(0, len(source), max(1, len(source) // SIZES))]


def printable(text: str) -> str:
    """Escape what would break a line or a terminal (newlines, control codes, undecodable bytes)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
