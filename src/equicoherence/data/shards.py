"""Tar shards in the WebDataset layout, read in any order."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equicoherence.data.cache import cache_folder
from equicoherence.data.images import SUFFIXES, decode
from equicoherence.data.source import BadImage, ImageSource, Sample, printable
from equicoherence.data.tar import whole_members
from equicoherence.files import replacing

_FORMAT = "1"  # of the cached index: part of its key
LARGEST_LABEL = 1_000_000  # a list of as many class names is made


@dataclass(frozen=True)
class ShardIndex:
    """Where each image lies: arrays (N,) in the order of the shards and of the members in each."""

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


def index_shards(shards: list[Path]) -> ShardIndex:
    """Scan the headers of tar shards; nothing is extracted, and only regular files count.

    The key of a member is its path up to the first dot of its file name. ``key.jpg`` (or another image ending) is an
    image; its label is the number in ``key.cls``, or ``"label"`` in ``key.json``, or -1.

    Raises:
        ValueError: a shard is damaged or cut off, or a label is not a whole number from -1 to a million.
    """
    rows: list[tuple[int, int, int, int, bytes]] = []
    for number, shard in enumerate(shards):
        try:
            rows += [(number, *row) for row in _scan(shard)]
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
    )


def _scan(shard: Path) -> list[tuple[int, int, int, bytes]]:
    images: list[tuple[str, tarfile.TarInfo]] = []
    labels: dict[str, int] = {}
    with open(shard, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in whole_members(tar):
            folder, _, base = member.name.rpartition("/")
            stem, _, ending = base.partition(".")
            key = f"{folder}/{stem}"
            if not member.isreg() or member.issparse() or not stem:
                continue
            if f".{ending.lower()}" in SUFFIXES:
                images.append((key, member))
            elif ending in ("cls", "json"):
                text = os.pread(file.fileno(), member.size, member.offset_data)
                label = _label(text, ending, f"{member.name!r} in shard {str(shard)!r}")
                if ending == "cls" or key not in labels:
                    labels[key] = label
    return [
        (member.offset_data, member.size, labels.get(key, -1), printable(f"{shard.name}/{member.name}").encode())
        for key, member in images
    ]


def _label(text: bytes, ending: str, where: str) -> int:
    try:
        written = json.loads(text).get("label", -1) if ending == "json" else text.decode("ascii")
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
            return ShardIndex(**stored)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        pass  # not there yet, or damaged: made again
    index = index_shards(shards)
    with replacing(file) as aside, aside.open("wb") as stream:
        np.savez(stream, **vars(index))
    return index


class ShardSource(ImageSource):
    """A folder of ``*.tar`` shards in the WebDataset layout, read in any order and from any number of threads.

    The index is built once and kept in the cache folder, under the shards' paths, sizes and modification times.
    Class names are the numbers ``"0"`` to the largest label.

    Raises:
        FileNotFoundError: ``path`` is not a folder, or no shard lies in it.
        ValueError: a shard is damaged, a label is not a number, or there is no image in any shard.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._shards = sorted(self.path.glob("*.tar")) if self.path.is_dir() else []
        if not self._shards:
            raise FileNotFoundError(f"no .tar shards in {str(path)!r}: give the folder that holds them")
        self._index = _cached_index(self._shards)
        if len(self) == 0:
            raise ValueError(
                f"no images in the {len(self._shards)} shards of {str(path)!r}: members must be named KEY.jpg (or "
                f"{' '.join(sorted(SUFFIXES))})"
            )
        self.labels = self._index.label
        self.classes = [str(label) for label in range(int(self.labels.max()) + 1)]

    def __len__(self) -> int:
        return len(self._index.offset)

    def name(self, index: int) -> str:
        return self._index.name[index].decode()

    def load(self, index: int, size: int) -> Sample:
        name = self.name(index)
        count = int(self._index.size[index])
        try:
            # Opened for each read: no limit on the number of shards, nothing shared between threads or processes.
            handle = os.open(self._shards[self._index.shard[index]], os.O_RDONLY)
            try:
                data = os.pread(handle, count, int(self._index.offset[index]))
            finally:
                os.close(handle)
        except OSError as error:
            raise BadImage(name, f"cannot be read: {error.strerror}") from error
        if len(data) < count:
            raise BadImage(name, "the shard became shorter while it was in use")
        return decode(data, size, name)
