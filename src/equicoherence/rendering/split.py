"""The split files of a rendered set, as 3DIEBench has them."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from equicoherence.files import write_aside
from equicoherence.rendering.meshes import Entry


def write_splits(out: Path, entries: Sequence[Entry], missing: Collection[str]) -> dict[str, int]:
    """Write ``train_images.npy``, ``train_labels.npy`` and the same for ``val``; return the objects in each.

    Images are "/CATEGORY/OBJECT/" strings, labels int64 indices of the categories in sorted order. An object is held
    out where its source says so, else every fifth of a category, with all its meshes. Those in ``missing`` (paths)
    count, but are not written.
    """
    labels = {name: label for label, name in enumerate(sorted({entry.category for entry in entries}))}
    places: dict[str, dict[str, int]] = {}
    split: dict[str, list[Entry]] = {"train": [], "val": []}
    for entry in entries:
        of_category = places.setdefault(entry.category, {})
        place = of_category.setdefault(entry.object_name, len(of_category) + 1)
        held = place % 5 == 0 if entry.validation is None else entry.validation
        if entry.path not in missing:
            split["val" if held else "train"].append(entry)
    for name, members in split.items():
        _save(out / f"{name}_images.npy", np.array([f"/{entry.path}/" for entry in members], dtype=np.str_))
        _save(out / f"{name}_labels.npy", np.array([labels[entry.category] for entry in members], dtype=np.int64))
    return {name: len(members) for name, members in split.items()}


def _save(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_aside(path, buffer.getvalue())
