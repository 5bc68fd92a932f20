"""Tar shards in the WebDataset layout, read in any order."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from equicoherence.data.cache import cache_folder
from equicoherence.data.decoding import decode
from equicoherence.data.images import PROBED_SUFFIXES, SUFFIXES, ending_of, holds_image
from equicoherence.data.passed_over import PassedOver
from equicoherence.data.probing import format_of_all
from equicoherence.data.source import BadImage, ImageSource, Sample, printable
from equicoherence.data.tar import whole_members
from equicoherence.files import replacing

_FORMAT = "2"  # of the cached index: part of its key
SIBLINGS = 8  # more images than this with one key are numbered, as frame.0001.png is, and not of one sample
LARGEST_LABEL = 1_000_000  # a list of as many class names is made


@dataclass(frozen=True)
class ShardIndex:
    """The position of each image: arrays (N,) in the order of the shards and of the members in each."""

    shard: np.ndarray
    """int32, number of the shard."""
    offset: np.ndarray
    """int64, first byte of the image in the shard."""
    size: np.ndarray
    """int64, bytes."""
    label: np.ndarray
    """int64, -1 where unknown."""
    name: np.ndarray
    """UTF-8 bytes, ``shard/member``."""
    passed_over: np.ndarray
    """() bytes: json of `PassedOver.rows`."""

    def fits(self, shards: int) -> bool:
        """Say whether it is whole, and of so many shards: what is read from a file may be anything."""
        columns = (self.shard, self.offset, self.size, self.label, self.name)
        if any(each.shape != (len(self.shard),) or each.dtype.kind != kind for each, kind in zip(columns, "iiiiS")):
            return False
        return not len(self.shard) or (0 <= self.shard.min() <= self.shard.max() < shards and self.label.min() >= -1)


def index_shards(shards: list[Path]) -> ShardIndex:
    """Scan the headers of tar shards; nothing is extracted, and only regular files count.

    The key of a member is its path up to the first dot of its file name. ``key.jpg`` (or another image ending) is an
    image; its label is the number in ``key.cls``, or ``"label"`` in ``key.json``, or -1. ``key.left.jpg`` is one too,
    unless there is a ``key.jpg``, beside which it may be a mask; its label is of ``key.left.cls``, else of the key.

    Raises:
        ValueError: a shard is damaged or cut off, or a label is not a whole number from -1 to a million.
    """
    rows: list[tuple[int, int, int, int, bytes]] = []
    passed_over = PassedOver()
    for number, shard in enumerate(shards):
        try:
            rows += [(number, *row) for row in _scan(shard, passed_over)]
        except tarfile.TarError as error:
            raise ValueError(
                f"shard {str(shard)!r} is damaged or not an uncompressed tar file, fetch it again: {error}"
            ) from error
    columns = list(zip(*rows)) if rows else [()] * 5
    return ShardIndex(
        shard=np.array(columns[0], dtype=np.int32),
        offset=np.array(columns[1], dtype=np.int64),
        size=np.array(columns[2], dtype=np.int64),
        label=np.array(columns[3], dtype=np.int64),
        name=np.array(columns[4], dtype=np.bytes_),
        passed_over=np.array(json.dumps(passed_over.rows()).encode()),
    )


@dataclass(frozen=True)
class _Member:
    """own: its path without its ending. key: WebDataset's, up to the first dot of the file name."""

    own: str
    key: str
    ending: str
    entry: tarfile.TarInfo

    @classmethod
    def of(cls, entry: tarfile.TarInfo) -> _Member:
        folder, _, base = entry.name.rpartition("/")
        stem, _, rest = base.partition(".")
        inner, _, ending = rest.rpartition(".")
        key = f"{folder}/{stem}"
        return cls(f"{key}.{inner}" if inner else key, key, ending, entry)


def _key(name: str) -> str:
    folder, _, base = name.rpartition("/")
    return f"{folder}/{base.partition('.')[0]}"


def _scan(shard: Path, passed_over: PassedOver) -> list[tuple[int, int, int, bytes]]:
    images: list[_Member] = []
    labels: dict[str, _Member] = {}

    def pass_over(kind: str, member: _Member) -> None:
        passed_over.note(kind, f"{shard.name}/{member.entry.name}")

    with open(shard, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in map(_Member.of, whole_members(tar)):
            ending = f".{member.ending.lower()}"
            if member.entry.isdir():
                continue
            if not member.entry.isreg() or member.entry.issparse():
                pass_over("links and the like", member)
            elif member.key.endswith("/"):
                pass_over("hidden", member)
            elif ending in SUFFIXES:
                images.append(member)
            elif member.ending not in ("cls", "json"):
                pass_over(ending if member.ending else "without an ending", member)
            elif member.ending == "cls" or member.own not in labels:
                labels[member.own] = member
        plain = {image.own for image in images if image.own == image.key}
        chosen = [image for image in images if image.own == image.key or image.key not in plain]
        for image in images if len(chosen) < len(images) else ():
            if image.own != image.key and image.key in plain:
                pass_over("beside an image of the same key", image)
        wanted = {name for image in chosen for name in (image.own, image.key)}
        for name in sorted(labels.keys() - wanted):
            pass_over("labels without an image", labels[name])
        numbers = {name: _label(file, labels[name].entry, shard) for name in labels.keys() & wanted}
    return [
        (
            image.entry.offset_data,
            image.entry.size,
            numbers.get(image.own, numbers.get(image.key, -1)),
            printable(f"{shard.name}/{image.entry.name}").encode(),
        )
        for image in chosen
    ]


def _label(file: BinaryIO, entry: tarfile.TarInfo, shard: Path) -> int:
    file.seek(entry.offset_data)
    text = file.read(entry.size)
    where = f"{entry.name!r} in shard {str(shard)!r}"
    try:
        written = json.loads(text).get("label", -1) if entry.name.endswith(".json") else text.decode("ascii")
        label = int(str(written))  # by way of the text: 3.7 and true are no labels
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the label {text[:80]!r} of {where} is not a whole number") from error
    if label > LARGEST_LABEL:
        raise ValueError(f"the label {label} of {where} is no class number: the largest allowed is {LARGEST_LABEL}")
    if label < -1:
        raise ValueError(f"the label {label} of {where} is negative: labels count from 0, -1 means unknown")
    return label


def _cached_index(shards: list[Path]) -> ShardIndex:
    states = [(str(shard.resolve()), shard.stat().st_size, shard.stat().st_mtime_ns) for shard in shards]
    key = hashlib.sha256(json.dumps([_FORMAT, states]).encode()).hexdigest()[:24]
    folder = cache_folder() / "shards"
    folder.mkdir(exist_ok=True)
    file = folder / f"{key}.npz"
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            index = ShardIndex(**stored)
        PassedOver(json.loads(index.passed_over.item()))
        if index.fits(len(shards)):
            return index
    except Exception:  # not there yet, or damaged, of which zip files and arrays make anything: made again
        pass
    index = index_shards(shards)
    with replacing(file) as aside, aside.open("wb") as stream:
        np.savez(stream, **vars(index))
    return index


class ShardSource(ImageSource):
    """A folder of ``*.tar`` shards in the WebDataset layout, read in any order and from any number of threads.

    The index is built once and kept in the cache folder, under the shards' paths, sizes and modification times.
    Class names are the numbers ``"0"`` to the largest label. names: of the shards that are read; all if None.

    Raises:
        FileNotFoundError: ``path`` is not a folder, or no shard lies in it.
        ValueError: a shard is damaged, a label is not a number, or there is no image in any shard.
    """

    def __init__(self, path: str | Path, names: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        if names is None:
            names = sorted(shard.name for shard in self.path.glob("*.tar")) if self.path.is_dir() else []
        self._shards = [self.path / name for name in names if not name.startswith(".")]
        if not self._shards:
            raise FileNotFoundError(f"no .tar shards in {str(path)!r}: give the folder that holds them")
        self._index = _cached_index(self._shards)
        self.passed_over = PassedOver(json.loads(self._index.passed_over.item()))
        if len(self) == 0:
            there = f"; they hold {self.passed_over.words()}" if self.passed_over else ""
            raise ValueError(
                f"no images in the {len(self._shards)} shards of {str(path)!r}{there}: members must be named KEY.jpg "
                f"(or {' '.join(sorted(SUFFIXES))})"
            )
        self.labels = self._index.label
        self.classes = [str(label) for label in range(int(self.labels.max()) + 1)]
        deep = [i for i in range(len(self)) if ending_of(self.name(i)) in PROBED_SUFFIXES]
        self.format = format_of_all(len(deep), lambda i: self.name(deep[i]), lambda i: io.BytesIO(self._bytes(deep[i])))

    def __len__(self) -> int:
        return len(self._index.offset)

    def name(self, index: int) -> str:
        return self._index.name[index].decode()

    def sample(self, index: int) -> str:
        """Return the image's name, or, of a key with several images, such as ``key.left.jpg``, the key."""
        name = self.name(index)
        key = _key(name)
        return key if 1 < self._of_key[key] <= SIBLINGS else name

    @cached_property
    def _of_key(self) -> Counter[str]:
        return Counter(_key(self.name(index)) for index in range(len(self)))

    def load(self, index: int, size: int) -> Sample:
        try:
            data = self._bytes(index)
        except OSError as error:
            raise BadImage(self.name(index), f"cannot be read: {error.strerror}") from error
        if len(data) < self._index.size[index]:
            raise BadImage(self.name(index), "the shard became shorter while it was in use")
        return decode(data, size, self.name(index), self.format)

    def _bytes(self, index: int) -> bytes:
        # Opened for each read: no limit on the number of shards, nothing shared between threads or processes.
        with open(self._shards[self._index.shard[index]], "rb") as file:
            file.seek(int(self._index.offset[index]))
            return file.read(int(self._index.size[index]))

    def file_size(self, index: int) -> int | None:
        return int(self._index.size[index])


def refuse_beside_shards(folder: Path) -> None:
    """Raise ValueError where images lie in a folder of shards, or below it: it is not clear which ones are meant."""
    if holds_image(folder):
        raise ValueError(
            f"{str(folder)!r} holds .tar files and images: keep them apart, for shards are read from their headers and "
            "images from files"
        )
