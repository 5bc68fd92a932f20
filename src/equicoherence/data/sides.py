"""Sides of a split that are not folders of the data set itself: shards of other names, and folders in each class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equicoherence.data.layout import choose_sides, shortened, split_name


def sides_of_shards(names: Sequence[str], folder: Path) -> tuple[list[str], list[str], str, list[str]] | None:
    """Return the shards for training, those that are held out, the word by which they say so, and what to say of it.

    pets-train-000.tar and pets-val-000.tar: the first part of a name that says a side counts. None if none does.
    Raises ValueError where some say a side and others do not.
    """
    words = {name: next(filter(None, map(split_name, re.split(r"[-_.]", name))), None) for name in names}
    sides = choose_sides(sorted({word for word in words.values() if word}), repr(str(folder)))
    if sides is None:
        return None
    training, held_out, unused = sides
    if neither := [name for name in names if words[name] is None]:
        raise ValueError(
            f"{str(folder)!r} holds shards of {training!r}, of {held_out!r}, and {len(neither)} whose names say "
            f"neither, such as {neither[0]!r}: keep them apart"
        )
    remarks = [f"shards of {', '.join(map(repr, unused))} are not used"] if unused else []
    chosen = [[name for name in names if words[name] == side] for side in (training, held_out)]
    return chosen[0], chosen[1], f"the shards of {held_out!r}", remarks


def sides_below_classes(files: Sequence[tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray, str, list[str]] | None:
    """Return which images (N,) bool are for training, which held out, where those are, and what to say of it.

    Where each class has a folder for training, and some have one that is held out: CLASS/train/1.jpg. Else None.
    files: the parts of the images' paths.
    """
    below = {parts[1] for parts in files if len(parts) > 2}
    sides = choose_sides(sorted(below), "the folders of classes") if any(map(split_name, below)) else None
    if sides is None:
        return None
    training, held_out, _ = sides
    classes = {parts[0] for parts in files if len(parts) > 1}
    if classes != {parts[0] for parts in files if len(parts) > 2 and parts[1] == training}:
        return None
    names = np.array([parts[1] if len(parts) > 2 else "" for parts in files])
    chosen = names == training, names == held_out
    remarks = []
    if rest := len(files) - int(chosen[0].sum() + chosen[1].sum()):
        others = shortened(sorted(set(names.tolist()) - {training, held_out, ""}))
        where = f" ({others})" if others else ""
        remarks.append(f"{rest} images in neither {training!r} nor {held_out!r} of their classes are not used{where}")
    return *chosen, f"the folders {held_out!r} of the classes", remarks
