"""How a folder of images is laid out: which folder is for training, which is held out, and which one holds it all."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from equicoherence.data.archive import ARCHIVE_SUFFIXES
from equicoherence.data.images import ARRAYS, SUFFIXES, ending_of, holds_image, is_hidden
from equicoherence.data.poses.objects import has_poses
from equicoherence.data.source import printable

TRAINING = ("train", "training")
TABLES = (".arrow", ".parquet")
"""Endings of tables that hold images, compared in lower case; those of the first one are read where both lie there."""
COMPUTED = "cache-"  # begins the names of files in which `datasets` keeps what it computed
HELD_OUT = ("val", "valid", "validation", "dev", "eval", "evaluation", "test", "testing")
"""In the order in which one is taken where there are several."""
_NAME = re.compile(
    rf"({'|'.join((*TRAINING, *HELD_OUT))})([-_ ]?(set|split|data|images))?([-_ ]?\d{{4}})?", re.IGNORECASE
)


@dataclass(frozen=True)
class Listing:
    """What lies in a folder itself, by name, sorted: folders, shards (.tar, or tables where there are neither those nor
    images), other archives. images, arrays (.npy): how many."""

    folders: list[str]
    shards: list[str]
    archives: list[str]
    images: int
    arrays: int = 0

    @property
    def lone(self) -> str | None:
        """The folder that is all there is, other files aside."""
        return self.folders[0] if len(self.folders) == 1 and not (self.shards or self.images) else None

    @property
    def holds_images_alone(self) -> bool:
        """Whether it is like the folder of a class: images, and no folders that could be classes."""
        return self.images + self.arrays > 0 and not (self.folders or self.shards)


@dataclass(frozen=True)
class Layout:
    """folder: where the data set lies, below folders that hold one folder alone. sides: the folders for training and
    held out, none if it comes in one. shards: of ``folder``, or of both sides, .tar files or tables. held_out: name
    of the second side. poses: whether it is 3DIEBench's. remarks: lines for the user."""

    folder: Path
    sides: tuple[Path, ...] = ()
    shards: tuple[list[str], ...] = ()
    held_out: str = ""
    poses: bool = False
    remarks: tuple[str, ...] = ()


def list_folder(folder: Path) -> Listing:
    """List what lies in a folder itself; names that are hidden are left out."""
    folders, shards, archives, images, arrays = [], [], [], 0, 0
    tables: dict[str, list[str]] = {ending: [] for ending in TABLES}
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif ending_of(entry.name) in SUFFIXES:
                images += 1
            elif ending_of(entry.name) in ARRAYS:
                arrays += 1
            elif ending_of(entry.name) in TABLES and not entry.name.startswith(COMPUTED):
                tables[ending_of(entry.name)].append(entry.name)
            elif entry.name.lower().endswith(ARCHIVE_SUFFIXES):
                (shards if entry.name.lower().endswith(".tar") else archives).append(entry.name)
    held = next((names for names in tables.values() if names), [])
    if held and not (shards or images or holds_image(folder)):  # beside images, a table says something of them
        shards = held
    return Listing(sorted(folders), sorted(shards), sorted(archives), images, arrays)


def split_name(name: str) -> str | None:
    """Return the word by which a name says that it is one side of a split: "val" for Val_set or val2017; else None."""
    match = _NAME.fullmatch(name)
    return match[1].lower() if match else None


def choose_sides(names: Sequence[str], where: str) -> tuple[str, str, list[str]] | None:
    """Return the name that is for training, the one that is held out, and the others that say so; None unless there is
    one of each.

    Raises ValueError, naming ``where``, for two that are for training.
    """
    words = {name: word for name in names if (word := split_name(name))}
    training = [name for name in names if words.get(name) in TRAINING]
    held_out = sorted((name for name in names if words.get(name) in HELD_OUT), key=lambda n: HELD_OUT.index(words[n]))
    if not training or not held_out:
        return None
    if len(training) > 1:
        raise _two_for_training(training, where)
    return training[0], held_out[0], held_out[1:]


def _two_for_training(names: Sequence[str], where: str) -> ValueError:
    found = " and ".join(repr(printable(name)) for name in names)
    return ValueError(f"{where} holds {found}, which both say that they are for training: keep one of them there")


def find_layout(folder: Path) -> Layout:
    """Find the folders of a data set. No more than names in a few folders are looked at.

    Split by folders is one that holds train (or training) and one of val, valid, validation, dev, eval, evaluation,
    test or testing, in any case, also as in train2017 or test_set; of several that are held out the first in this order
    is taken. A folder that holds one other and no image is passed through, unless the other one holds images alone, as
    a class does, and is not called train or the like.

    Raises ValueError for folders that are held out without one for training, and for two that are for training.
    """
    remarks: list[str] = []
    passed = {os.path.realpath(folder)}
    while True:
        if has_poses(folder):
            return Layout(folder, poses=True, remarks=tuple(remarks))
        listing = list_folder(folder)
        if sides := choose_sides(listing.folders, repr(str(folder))):
            return _split(folder, listing, sides, remarks)
        lone = _passable(folder, listing, passed)
        if lone is None:
            break
        remarks.append(_lone(folder, lone))
        if listing.archives:
            remarks.append(f"{_named(listing.archives)} not read, beside {lone!r}")
        folder = folder / lone
    sided = [name for name in listing.folders if split_name(name)]
    if len(sided) > 1 and len(sided) == len(listing.folders):
        if split_name(sided[0]) in TRAINING:  # else there would be sides
            raise _two_for_training(sided, repr(str(folder)))
        found = ", ".join(repr(name) for name in sided)
        raise ValueError(
            f"{str(folder)!r} holds {found} and no folder for training: give one of them, or add one called 'train'"
        )
    remarks += [f"{name!r} is taken for a class: no folder beside it is its other side" for name in sided]
    return Layout(folder, shards=(listing.shards,), remarks=tuple(remarks))


def _split(folder: Path, listing: Listing, named: tuple[str, str, list[str]], remarks: Sequence[str]) -> Layout:
    training, held_out, unused = named
    more = [f"{held_out!r} is held out, {_named(unused)} not used"] if unused else []
    others = [name for name in listing.folders if name not in (training, held_out, *unused)]
    if beside := [*others, *listing.shards, *listing.archives]:
        more.append(f"{_named(beside)} not used, beside {training!r} and {held_out!r}")
    if listing.images:
        more.append(f"{listing.images} images beside {training!r} and {held_out!r} are not used")
    sides, listings, inner = _pass_through(folder / training, folder / held_out)
    classes = [each.folders for each in listings]
    more += [*inner, *one_sided(classes[0], classes[1], training, held_out)]
    return Layout(folder, sides, tuple(each.shards for each in listings), held_out, remarks=(*remarks, *more))


def _pass_through(train: Path, held_out: Path) -> tuple[tuple[Path, Path], list[Listing], list[str]]:
    """Return the folders below two sides that hold a lone folder, what lies there, and what to say of it.

    One that is among several on the other side is a class of both.
    """
    sides, remarks, passed = [train, held_out], [], {os.path.realpath(side) for side in (train, held_out)}
    while True:
        listings = [list_folder(side) for side in sides]
        moved = False
        for number, (listing, other) in enumerate(zip(listings, reversed(listings))):
            lone = _passable(sides[number], listing, passed)
            if lone and (lone not in other.folders or other.lone == lone):
                remarks.append(_lone(sides[number], lone))
                sides[number], moved = sides[number] / lone, True
        if not moved:
            return (sides[0], sides[1]), listings, remarks


def _passable(folder: Path, listing: Listing, passed: set[str]) -> str | None:
    """Return the only folder in a folder, and add it, with links resolved, to those that were ``passed``."""
    if listing.lone is None:
        return None
    if not split_name(listing.lone) and list_folder(folder / listing.lone).holds_images_alone:
        return None
    real = os.path.realpath(folder / listing.lone)
    if real in passed:
        return None
    passed.add(real)
    return listing.lone


def _lone(folder: Path, name: str) -> str:
    return f"{name!r} is all that {str(folder)!r} holds, and no class: what is in it is read"


def one_sided(train: Collection[str], held_out: Collection[str], training: str, other: str) -> list[str]:
    """Return what to say of classes that only one of two sides has; nothing if one has no classes at all."""
    if not train or not held_out:
        return []
    sides = ((set(train) - set(held_out), training), (set(held_out) - set(train), other))
    return [f"only in {side!r}: {shortened(sorted(names))}" for names, side in sides if names]


def shortened(names: Sequence[str], most: int = 3) -> str:
    """Return names in a row, the first ones alone where there are many."""
    return ", ".join(map(printable, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def _named(names: Sequence[str]) -> str:
    """Return names with their verb."""
    return f"{', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''} {'is' if len(names) == 1 else 'are'}"
