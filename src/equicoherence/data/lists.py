"""Lists of images: a .csv or .txt file that names one on each line, and its label."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equicoherence.data.decoding import decode
from equicoherence.data.images import ARRAYS, SUFFIXES, ending_of, format_of_files
from equicoherence.data.layout import shortened
from equicoherence.data.source import BadImage, ImageSource, Sample, printable, size_of_file

LISTS = (".csv", ".tsv", ".txt")
"""Endings of lists, compared in lower case."""
PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img", "name")
"""Names of columns of paths, in a header; compared in lower case."""
LABELS = ("label", "labels", "class", "class_name", "target", "category")
"""Names of columns of labels, likewise."""
LOOKED_UP = 32  # files that are looked up at once, evenly spread
QUOTED = 3  # lines that are quoted
UNKNOWN = "-1"  # a label that is none, as in tables and shards


class ImageList(ImageSource):
    """Images that a list names, in its order.

    A line has a path, relative to the folder of the list, and, after a comma, a semicolon or a tab, a label; in a .txt
    file also after a blank, if the path has an image ending. A first line without a path is a header with the columns
    of path and label. Empty lines and lines that begin with ``#`` are ignored. Classes are the labels that occur, in
    numerical order if all are numbers; -1 means no label.

    Raises:
        FileNotFoundError: none of the checked files exists.
        ValueError: lines that cannot be read, quoted with their numbers; or no line at all.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        rows = read_list(self.path)
        self._lines, self._paths = [number for number, _, _ in rows], [place for _, place, _ in rows]
        labels = [label for _, _, label in rows]
        self.classes = _in_order({label for label in labels if label})
        number = {label: place for place, label in enumerate(self.classes)}
        self.labels = np.array([number.get(label, -1) for label in labels], dtype=np.int64)
        self._check_there()
        self.format = format_of_files(self.path.parent, self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        return printable(self._paths[index])

    def load(self, index: int, size: int) -> Sample:
        try:
            data = self._file(index).read_bytes()
        except OSError as error:
            where = f"{self.path.name}, line {self._lines[index]}"
            raise BadImage(self.name(index), f"cannot be read: {error.strerror} ({where})") from error
        return decode(data, size, self.name(index), self.format)

    def file_size(self, index: int) -> int | None:
        return size_of_file(self._file(index))

    def _file(self, index: int) -> Path:
        return self.path.parent / self._paths[index]

    def _check_there(self) -> None:
        looked_up = range(0, len(self), max(1, len(self) // LOOKED_UP))
        if not any(self._file(index).is_file() for index in looked_up):
            raise FileNotFoundError(
                f"{str(self.path)!r}, line {self._lines[0]}: there is no file {str(self._file(0))!r}, nor those "
                "of other lines: paths are relative to the folder of the list"
            )


def read_list(path: Path) -> list[tuple[int, str, str]]:
    """Return the number of each line, its path and its label, "" if it has none."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is no text in UTF-8, as a list of images is: {error.reason}") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    if not lines:
        raise ValueError(f"{str(path)!r} names no image: write a path on each line, and a comma and a label behind it")
    fields = [(number, _fields(line, path)) for number, line in lines]
    columns = _header(fields[0][1], path)
    if columns:
        fields = fields[1:]
    found, odd = [], []
    for number, parts in fields:
        at, of_label = columns or (0, 1 if len(parts) == 2 else None)
        wanted = f"{at + 1} to {max(at, of_label or 0) + 1}" if columns else "1 or 2"
        if max(at, of_label or 0) >= len(parts) or (len(parts) > 2 and not columns) or not parts[at].strip():
            odd.append(f"line {number}: {','.join(parts)!r} ({wanted} fields are expected)")
        else:
            label = "" if of_label is None else printable(parts[of_label].strip())
            found.append((number, parts[at].strip(), "" if label == UNKNOWN else label))
    if odd:
        raise ValueError(f"{str(path)!r}: {shortened(odd, QUOTED)}; correct the list")
    if not found:
        raise ValueError(f"{str(path)!r} names no image beside its header")
    return found


def _fields(line: str, path: Path) -> list[str]:
    """Split a line at tabs, semicolons or commas, whichever it has; of a text file, also at its last blank."""
    for mark in "\t;,":
        if mark in line:
            return next(csv.reader([line], delimiter=mark))
    if ending_of(path.name) != ".txt" or _names_image(line):
        return [line.strip().strip('"')]
    before, blank, behind = line.rstrip().rpartition(" ")
    return [before, behind] if blank and _names_image(before) else [line.strip()]


def _names_image(text: str) -> bool:
    return ending_of(text.strip()) in SUFFIXES | ARRAYS


def _header(fields: Sequence[str], path: Path) -> tuple[int, int | None] | None:
    """Return the columns of path and label where a line is a header, None if it names an image."""
    if any(map(_names_image, fields)):
        return None
    names = [field.strip().lower() for field in fields]
    at = next((names.index(name) for name in PATHS if name in names), None)
    if at is None:
        raise ValueError(
            f"{str(path)!r}, line 1: {','.join(fields)!r} neither names an image (files end in "
            f"{' '.join(sorted(SUFFIXES | ARRAYS))}) nor is a header with a column of them ({', '.join(PATHS[:3])} ...)"
        )
    of_label = next((names.index(name) for name in LABELS if name in names), None)
    if of_label is None and len(names) == 2:
        of_label = 1 - at
    return at, of_label


def _in_order(labels: set[str]) -> list[str]:
    """Sort labels, as numbers where all are."""
    numbers = all(label.isdecimal() for label in labels)
    return sorted(labels, key=lambda label: (int(label), label)) if numbers else sorted(labels)
