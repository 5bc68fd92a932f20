"""Plain folders of images: which files are images, and the source that reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equicoherence.data.archive import ARCHIVE_SUFFIXES
from equicoherence.data.decoding import decode
from equicoherence.data.passed_over import PassedOver
from equicoherence.data.pixel_format import PICTURE, PixelFormat
from equicoherence.data.probing import format_of_all
from equicoherence.data.source import BadImage, ImageSource, Sample, printable, size_of_file

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Endings of image files, compared in lower case."""
ARRAYS = frozenset({".npy"})
"""Endings of files that hold an image as an array: read where no image files are."""
PROBED_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", *ARRAYS})
"""Endings of files that may hold more than three channels of 8 bits."""


class ImageFolder(ImageSource):
    """A folder of image files, nested in any way, in sorted order.

    An image in a subfolder has the first folder below ``path`` as its class; one directly in ``path`` has label -1.
    Arrays (.npy) are images if there are no image files. Channels and bits are determined from some of the images; an
    image that differs is bad. Links are followed; names that start with a dot, and ``__MACOSX``, are skipped.

    Raises:
        FileNotFoundError: ``path`` is not a folder.
        ValueError: there is no image in it (the message names what is there), or images have different channels.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.passed_over = Path(path), PassedOver()
        if not self.path.is_dir():
            raise FileNotFoundError(f"no folder at {str(path)!r}: give the path of a folder that holds images")
        self.files = list(image_files(self.path, self.passed_over))
        if not self.files and any(kind in ARRAYS for kind, _, _ in self.passed_over.rows()):
            self.passed_over = PassedOver()
            self.files = list(image_files(self.path, self.passed_over, ARRAYS))
        if not self.files:
            raise ValueError(_no_images(self.path, self.passed_over))
        folders = [printable(parts[0]) if len(parts) > 1 else None for parts in self.files]
        self.classes = sorted({folder for folder in folders if folder is not None})
        label = {folder: number for number, folder in enumerate(self.classes)}
        self.labels = np.array([-1 if folder is None else label[folder] for folder in folders], dtype=np.int64)
        self.format = format_of_files(self.path, ["/".join(parts) for parts in self.files])

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return printable("/".join(self.files[index]))

    def load(self, index: int, size: int) -> Sample:
        name = self.name(index)
        try:
            data = self.path.joinpath(*self.files[index]).read_bytes()
        except OSError as error:
            raise BadImage(name, f"cannot be read: {error.strerror}") from error
        return decode(data, size, name, self.format)

    def file_size(self, index: int) -> int | None:
        return size_of_file(self.path.joinpath(*self.files[index]))


def format_of_files(folder: Path, names: Sequence[str]) -> PixelFormat:
    """Return the format that the image files of these names in a folder are kept with; ValueError where they differ in
    their channels."""
    doubtful = [name for name in names if ending_of(name) in PROBED_SUFFIXES]
    found = format_of_all(len(doubtful), doubtful.__getitem__, lambda index: (folder / doubtful[index]).open("rb"))
    if len(doubtful) < len(names) and found.channels != PICTURE.channels:
        picture = next(name for name in names if ending_of(name) not in PROBED_SUFFIXES)
        raise ValueError(
            f"images have different numbers of channels: {found.channels} of {printable(doubtful[0])}, 3 of "
            f"{printable(picture)}; keep those of one number together"
        )
    return found


def _no_images(folder: Path, passed_over: PassedOver) -> str:
    archives = [row for row in passed_over.rows() if row[2].lower().endswith(ARCHIVE_SUFFIXES)]
    advice = f"give a folder that holds (at any depth) files ending in {' '.join(sorted(SUFFIXES))}"
    if archives and not passed_over.pictures():
        several = sum(count for _, count, _ in archives) > 1
        advice = "give one of the archives" if several else f"give {str(folder / archives[0][2])!r}"
    there = f"; it holds {passed_over.words()}" if passed_over else ""
    return f"no images in {str(folder)!r}{there}: {advice}"


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is ignored: .DS_Store, resource forks of a Mac."""
    return name[0] == "." or name == "__MACOSX"


def ending_of(name: str) -> str:
    """Return the ending of a file's name with its dot, in lower case; "" if it has none."""
    return os.path.splitext(name)[1].lower()


def image_files(
    folder: Path, passed_over: PassedOver | None = None, suffixes: frozenset[str] = SUFFIXES
) -> Iterator[tuple[str, ...]]:
    """List the image files below a folder as sorted path parts; a link that leads back up is not entered.

    passed_over: counts, where given, the other files, by their endings. suffixes: endings of image files.
    """

    def walk(path: str, parts: tuple[str, ...], above: frozenset[str]) -> Iterator[tuple[str, ...]]:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            if is_hidden(entry.name):
                if passed_over is not None and (entry.is_dir() or ending_of(entry.name) in suffixes):
                    passed_over.note("hidden", "/".join((*parts, entry.name)))
            elif entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if real not in above:
                    yield from walk(entry.path, (*parts, entry.name), above | {real})
                elif passed_over is not None:
                    passed_over.note("links that lead back up", "/".join((*parts, entry.name)))
            elif (ending := ending_of(entry.name)) in suffixes:
                yield (*parts, entry.name)
            elif passed_over is not None:
                passed_over.note(ending or "without an ending", "/".join((*parts, entry.name)))

    root = os.path.realpath(folder)
    yield from walk(root, (), frozenset({root}))


def holds_image(folder: str | Path, suffixes: frozenset[str] = SUFFIXES) -> bool:
    """Return whether there is an image file below a folder; stops at the first.

    suffixes: endings of image files.
    """
    waiting, seen = [os.path.realpath(folder)], set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        with os.scandir(path) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                    waiting += [real] if real not in seen else []
                elif ending_of(entry.name) in suffixes:
                    return True
    return False
