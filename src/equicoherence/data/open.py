"""From the value of ``--data`` to an image source."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from equicoherence.data.images import ImageFolder, ending_of
from equicoherence.data.layout import TABLES, find_layout, one_sided
from equicoherence.data.lists import LISTS, ImageList
from equicoherence.data.locate import data_place
from equicoherence.data.shards import ShardSource, refuse_beside_shards
from equicoherence.data.sides import sides_below_classes, sides_of_shards
from equicoherence.data.source import ImageSource, Origin, Split, Subset
from equicoherence.data.tables import TableSource

VALIDATION_SHARE = 0.2
"""Share of the images that the hash split gives to ``val``."""
BY_HASH = "a fifth by a hash of their names"


def open_images(path: str | Path, split: Split = "all", seed: int = 0) -> ImageSource:
    """Open any data set by its path, or ``"objects"``; `describe_images` says what was found.

    A folder with one subfolder for training and one that is held out, by any of the names of `find_layout`, is split
    that way, and ``all`` is the first; labels of the second follow the classes of the first. The same holds for classes
    that each have such subfolders, and for shards with such names. Any other folder is split 80 / 20 by a hash of each
    image's name, so an image keeps its split when others are added or removed. A folder with a single subfolder and no
    images is replaced by that subfolder. A single class is no label. A folder in 3DIEBench's layout is split by object:
    see `ThreeDIEBench`.

    Args:
        path: A folder of images, of .tar shards or of tables (.arrow, .parquet), an archive, a table, a list of images
            (.csv, .txt), or ``"objects"``.
        split: ``"train"``, ``"val"`` or ``"all"``.
        seed: Changes the hash split; it has no effect on data that are already split.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        ValueError: it is not a data set, there is no image in it or in the split, its layout is ambiguous, or classes
            disagree.
    """
    if split not in get_args(Split):
        raise ValueError(f"split must be one of {', '.join(map(repr, get_args(Split)))}, got {split!r}")
    if path == "objects":
        from equicoherence.data.objects import ObjectsSource  # needs the renderer, which images do not

        return ObjectsSource(split=split)
    place = data_place(path)
    if place.is_file():
        one = ImageList(place) if ending_of(place.name) in LISTS else TableSource(place.parent, [place.name])
        return _split_whole(one, split, seed)
    layout = find_layout(place)
    if layout.poses:
        from equicoherence.data.poses.threediebench import ThreeDIEBench  # needs more than images do

        source: ImageSource = ThreeDIEBench(layout.folder, split)
    elif layout.sides:
        origin = Origin(f"folder {layout.held_out!r}", split, True)
        opened = [partial(_open_folder, *each) for each in zip(layout.sides, layout.shards)]
        source = _open_sides(opened, origin, [repr(str(folder)) for folder in layout.sides])
    else:
        source = _open_whole(layout.folder, layout.shards[0], split, seed)
    remarks = (*layout.remarks, *source.origin.remarks)
    source.origin = dataclasses.replace(source.origin, remarks=remarks)
    return source


def hash_split(source: ImageSource, split: Split, seed: int) -> ImageSource:
    """Give the side of each image by a hash of the seed and the name of its sample alone.

    Raises:
        ValueError: no image falls on the side asked for.
    """
    if split == "all":
        return source
    limit = int(VALIDATION_SHARE * 2**64)
    hashes = (hashlib.blake2b(f"{seed}\n{source.sample(i)}".encode(), digest_size=8) for i in range(len(source)))
    in_validation = np.array([int.from_bytes(digest.digest(), "big") < limit for digest in hashes])
    indices = np.flatnonzero(in_validation == (split == "val"))
    if not len(indices):
        raise ValueError(
            f"split {split!r} is empty: {len(source)} images are too few to be split 80 / 20 by chance; "
            "put them into folders 'train' and 'val', or use more images"
        )
    side = Subset(source, indices)
    side.origin = Origin(BY_HASH, split, count=int(in_validation.sum()), remarks=source.origin.remarks)
    return side


def _open_whole(folder: Path, shards: Sequence[str], split: Split, seed: int) -> ImageSource:
    """Open a folder that is not split by folders; what it holds may be."""
    if sided := sides_of_shards(shards, folder):
        training, held_out, where, remarks = sided
        origin = Origin(where, split, True, remarks=tuple(remarks))
        opened = [partial(_open_folder, folder, names) for names in (training, held_out)]
        return _open_sides(opened, origin, [f"the shards for training in {str(folder)!r}", "those that are held out"])
    return _split_whole(_open_folder(folder, shards), split, seed)


def _split_whole(source: ImageSource, split: Split, seed: int) -> ImageSource:
    """Return one side of images that are not split by where they lie; folders in each class may say the sides."""
    sided = sides_below_classes(source.files) if isinstance(source, ImageFolder) else None
    if single := _single_class(source):
        source = _unlabelled(source, single)
    if sided is None:
        return hash_split(source, split, seed)
    training, held_out, where, remarks = sided
    indices = np.flatnonzero(held_out if split == "val" else training)
    side = Subset(source, indices)
    count = int(held_out.sum())
    side.origin = Origin(where, split, True, count, (*source.origin.remarks, *remarks))
    return side


def _open_folder(folder: Path, shards: Sequence[str]) -> ImageSource:
    if not shards:
        return ImageFolder(folder)
    if ending_of(shards[0]) in TABLES:
        return TableSource(folder, shards)
    refuse_beside_shards(folder)
    return ShardSource(folder, shards)


def _open_sides(opened: Sequence[Callable[[], ImageSource]], origin: Origin, names: Sequence[str]) -> ImageSource:
    """Open the side that ``origin`` says, of training and held out, with the classes of training. names: of both."""
    source = training = opened[0]()
    classes, remarks = training.classes, origin.remarks
    single = _single_class(training)
    if origin.side == "val":
        source = opened[1]()
        try:
            source = Subset(source, np.arange(len(source)), classes=classes)
        except ValueError as error:
            raise ValueError(f"{names[1]} and {names[0]} disagree: {error}. Give both the same classes.") from error
        if isinstance(training, ShardSource | TableSource):
            used = [{classes[label] for label in np.unique(each.labels) if label >= 0} for each in (training, source)]
            remarks = (*remarks, *one_sided(used[0], used[1], "training", "what is held out"))
    source.origin = dataclasses.replace(origin, remarks=remarks)
    return _unlabelled(source, single) if single else source


def _single_class(source: ImageSource) -> str:
    """Return the only class of images that have one, "" if they have several or none."""
    used = np.unique(source.labels[source.labels >= 0])
    return source.classes[used[0]] if len(used) == 1 else ""


def _unlabelled(source: ImageSource, single: str) -> ImageSource:
    """Take the labels from images of one class: whatever is predicted of them would be right."""
    remark = f"{single!r} is the only class, which tells nothing apart: images have no labels"
    source.classes, source.labels = [], np.full_like(source.labels, -1)
    source.origin = dataclasses.replace(source.origin, remarks=(*source.origin.remarks, remark))
    return source
