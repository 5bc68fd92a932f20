"""From what a person writes after ``--data`` to an image source."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from equicoherence.data.archive import ARCHIVE_SUFFIXES, unpack_archive
from equicoherence.data.images import ImageFolder
from equicoherence.data.shards import ShardSource
from equicoherence.data.source import ImageSource, Subset

Split = Literal["train", "val", "all"]
VALIDATION_SHARE = 0.2
"""Share of the images that the hash split gives to ``val``."""
_VALIDATION_FOLDERS = ("val", "validation", "test")  # the first that is there is used
_ACCEPTED = (
    f"a folder of images, of .tar shards, or in 3DIEBench's layout, an archive ({', '.join(ARCHIVE_SUFFIXES)}), "
    "or 'objects' for rendered objects"
)


def open_images(path: str | Path, split: Split = "all", seed: int = 0) -> ImageSource:
    """Open any data set by its path, or ``"objects"``.

    A folder with ``train`` and one of ``val``, ``validation``, ``test`` (looked for in this order) is split that way,
    and ``all`` is ``train``; labels of the second follow the classes of the first. Any other folder is split 80 / 20 by
    a hash of each image's name, so an image keeps its side when others come or go. A folder that holds ``train`` and
    nothing else stands for what is in it. A folder in 3DIEBench's layout is split by object: see `ThreeDIEBench`.

    Args:
        path: A folder of images or of .tar shards, an archive, or ``"objects"``.
        split: ``"train"``, ``"val"`` or ``"all"``.
        seed: Changes the hash split; folders that are split already stay as they are.

    Raises:
        FileNotFoundError: nothing at ``path``.
        ValueError: not a data set, no image in it or in the split, or classes that disagree.
    """
    if split not in get_args(Split):
        raise ValueError(f"split must be one of {', '.join(map(repr, get_args(Split)))}, got {split!r}")
    if path == "objects":
        from equicoherence.data.objects import ObjectsSource  # needs the renderer, which images do not

        return ObjectsSource(split=split)
    from equicoherence.data.poses.threediebench import ThreeDIEBench, has_poses  # which needs Split from here

    folder = _folder(Path(path).expanduser())
    if has_poses(folder):
        return ThreeDIEBench(folder, split)
    if [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")] == ["train"]:
        folder = folder / "train"  # not the one class of everything, but a data set that came without its other half
    if validation := _validation(folder):
        return _open_split_folder(folder / "train", validation, split)
    return hash_split(_open_folder(folder), split, seed)


def comes_split(path: str | Path) -> bool:
    """Say whether a data set has a folder for training and one for validation, of which ``all`` is the first."""
    from equicoherence.data.poses.threediebench import has_poses  # which needs Split from here

    if path == "objects":
        return False
    folder = _folder(Path(path).expanduser())
    return not has_poses(folder) and _validation(folder) is not None


def hash_split(source: ImageSource, split: Split, seed: int) -> ImageSource:
    """Give the side of each image by a hash of the seed and its name alone.

    Raises:
        ValueError: no image falls on the side asked for.
    """
    if split == "all":
        return source
    limit = int(VALIDATION_SHARE * 2**64)
    hashes = (hashlib.blake2b(f"{seed}\n{source.name(i)}".encode(), digest_size=8) for i in range(len(source)))
    in_validation = np.array([int.from_bytes(digest.digest(), "big") < limit for digest in hashes])
    indices = np.flatnonzero(in_validation == (split == "val"))
    if not len(indices):
        raise ValueError(
            f"split {split!r} is empty: {len(source)} images are too few to be split 80 / 20 by chance; "
            "put them into folders 'train' and 'val', or use more images"
        )
    return Subset(source, indices)


def _validation(folder: Path) -> Path | None:
    """Return the folder for validation beside ``train``, None where there are not both."""
    found = next((folder / name for name in _VALIDATION_FOLDERS if (folder / name).is_dir()), None)
    return found if (folder / "train").is_dir() else None


def _folder(path: Path) -> Path:
    if path.is_dir():
        return path
    if path.is_file() and path.name.lower().endswith(ARCHIVE_SUFFIXES):
        return unpack_archive(path)
    if path.exists():
        raise ValueError(f"{str(path)!r} is not a data set: give {_ACCEPTED}")
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, [*beside, "objects"], n=1)
    hint = f" (is it {near[0]!r} that you mean?)" if near else ""
    raise FileNotFoundError(f"nothing at {str(path)!r}{hint}: give {_ACCEPTED}")


def _open_folder(folder: Path) -> ImageSource:
    return ShardSource(folder) if any(folder.glob("*.tar")) else ImageFolder(folder)


def _open_split_folder(train: Path, validation: Path, split: Split) -> ImageSource:
    known = _open_folder(train)
    if split != "val":
        return known
    source = _open_folder(validation)
    try:
        return Subset(source, np.arange(len(source)), classes=known.classes)
    except ValueError as error:
        raise ValueError(
            f"{str(validation)!r} and {str(train)!r} disagree: {error}. Give both the same class folders."
        ) from error
