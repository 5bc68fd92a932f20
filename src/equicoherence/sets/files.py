"""Reading the files of data sets: images, label images, and numbered lists; each error names its file."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from equicoherence.data.arrays import LARGEST_PIXEL_COUNT
from equicoherence.data.decoding import decode_whole
from equicoherence.data.source import BadImage, printable


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; `BadImage` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadImage(printable(str(path)), f"cannot be read: {error.strerror}") from error


def read_image(path: Path, *, turn: bool = False) -> np.ndarray:
    """Return an image (H, W, 3) uint8 RGB; `BadImage` where it is damaged.

    turn: whether EXIF rotation is applied; masks, boxes and points are given for the stored pixels.
    """
    return decode_whole(read_bytes(path), printable(str(path)), turn=turn)


def read_png(path: Path) -> np.ndarray:
    """Return the numbers of a PNG as they stand, (H, W) or (H, W, C): indices of a palette, 8 or 16 bits.

    Raises `BadImage` where it is no PNG, damaged or too large.
    """
    name, data = printable(str(path)), read_bytes(path)
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise BadImage(name, f"not a PNG (it starts with {data[:8]!r})")
    try:
        with PngImageFile(io.BytesIO(data)) as image:
            if image.size[0] * image.size[1] > LARGEST_PIXEL_COUNT:
                raise BadImage(name, f"{image.size[0]} x {image.size[1]} pixels are too many")
            image.load()
            return np.array(image.convert("L") if image.mode == "1" else image)
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise BadImage(name, printable(str(error)) or type(error).__name__) from error


def resized_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return labels (H, W) uint8 at another size (h, w), each pixel's from the nearest."""
    if labels.shape == size:
        return labels
    return np.array(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Return paths in the order of their names, in which numbers count as such: frame_2 comes before frame_10.

    Names that start with a dot are left out.
    """

    def key(path: Path) -> tuple[list[str | int], str]:
        parts = re.split("([0-9]+)", str(path))
        return [int(part) if place % 2 else part for place, part in enumerate(parts)], str(path)

    return sorted((path for path in paths if not path.name.startswith(".")), key=key)


def matched(folder: Path, pattern: str, other: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Return the files of ``folder`` that match a pattern, in order of their names, each with the file of the same stem
    and another suffix in the folder ``other``.

    Raises FileNotFoundError where there is none, and ValueError listing those without a partner.
    """
    found = in_order(folder.glob(pattern)) if folder.is_dir() else []
    if not found:
        raise FileNotFoundError(f"no files {pattern} in {str(folder)!r}")
    pairs = [(path, other / f"{path.stem}{suffix}") for path in found]
    refuse_missing([path for _, path in pairs])
    return pairs


def inside(folder: Path, name: str) -> Path:
    """Return the file that a list names in a folder; ValueError for a name that leads out of it."""
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"a list of files names {printable(name)!r}, which is not in {str(folder)!r}")
    return folder / name


@dataclass(frozen=True)
class Survey:
    """What a folder holds. sizes: name and bytes of each file below it, in order; -1 where it cannot be read. newest:
    time of the last change of any, in nanoseconds."""

    sizes: tuple[tuple[str, int], ...]
    newest: int


def survey(folder: Path) -> Survey:
    """Return what lies below a folder. Names are relative; those that start with a dot are skipped, links are followed,
    but each folder is entered once."""
    sizes: list[tuple[str, int]] = []
    newest, seen, waiting = 0, set(), [(str(folder), "")]
    while waiting:
        path, prefix = waiting.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError:
            sizes.append((prefix, -1))
            continue
        below = []
        for entry in found:
            try:
                if entry.is_dir():
                    below.append((entry.path, f"{prefix}{entry.name}/"))
                elif entry.is_file():
                    state = entry.stat()
                    sizes.append((prefix + entry.name, state.st_size))
                    newest = max(newest, state.st_mtime_ns)
            except OSError:  # a link to itself
                sizes.append((prefix + entry.name, -1))
        waiting += reversed(below)
    return Survey(tuple(sorted(sizes)), newest)


def refuse_missing(paths: Sequence[Path]) -> None:
    """Raise ValueError listing the files that are not there."""
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ValueError(
            f"the data set is incomplete: {len(missing)} files are missing: {', '.join(missing[:3])}{more}"
        )
