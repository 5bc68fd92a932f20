"""Which objects a tree in 3DIEBench's layout holds, and on which side of the split each is."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equicoherence.data.npy import ObjectArray, read_npy
from equicoherence.data.source import printable

SPLITS = ("train", "val")
MANIFEST = "render.yaml"
"""What `equicoherence.rendering` writes first; its split files come last."""
VALIDATION_EVERY = 5
"""Where no split files are there, every so many-th object of a class is ``val``."""


@dataclass(frozen=True)
class PoseObjects:
    """The objects of a tree: those of ``train``, then those of ``val``, sorted in each."""

    root: Path
    names: list[str]
    """"SYNSET/OBJECT", folders below ``root``."""
    training: int
    """How many of them are ``train``."""
    modified: list[int]
    """When each folder was last changed, in ns."""
    classes: list[str]
    """Synsets, sorted: of the split files where they are there, so that labels are the same for a part of the data."""
    published: bool
    """Whether the split is that of the split files."""
    absent: int
    """Objects of the split files that are not there."""
    unlisted: int
    """Objects that are in neither split file."""


def find_objects(root: Path) -> PoseObjects:
    """List the objects below ``root`` by its split files, or by its folders alone where it has none.

    Split files are ``train_images.npy`` and ``val_images.npy`` with entries "/SYNSET/OBJECT/"; label files are not
    needed. Names that start with a dot are skipped.

    Raises:
        FileNotFoundError: ``root`` is not a folder, or one of the split files is missing; or both, in a set
            that `equicoherence.rendering` has begun.
        ValueError: a split file cannot be used, or an object is on both sides.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder at {str(root)!r}: give the folder that holds SYNSET/OBJECT/image_0.jpg")
    found = {
        f"{group.name}/{entry.name}": entry.stat().st_mtime_ns for group in _folders(root) for entry in _folders(group)
    }
    files = [root / f"{split}_images.npy" for split in SPLITS]
    present = [file.is_file() for file in files]
    if any(present) and not all(present):
        missing, there = (files[i] for i in (present.index(False), present.index(True)))
        raise FileNotFoundError(
            f"{str(there)!r} is there but {missing.name!r} is not: put both there, or neither for a split by folders"
        )
    if not all(present) and (root / MANIFEST).is_file():
        raise FileNotFoundError(
            f"{str(root)!r} has {MANIFEST} but not both split files: rendering has not been finished: run the same "
            "render again"
        )
    train, val = (_read_split(file) for file in files) if all(present) else _split_folders(sorted(found))
    if both := train & val:
        raise ValueError(f"{len(both)} objects of {str(root)!r} are in train and in val, such as {min(both)!r}")
    listed = train | val
    here = [sorted(side & found.keys()) for side in (train, val)]
    names = here[0] + here[1]
    return PoseObjects(
        root,
        names,
        len(here[0]),
        [found[name] for name in names],
        sorted({name.split("/")[0] for name in listed}),
        all(present),
        len(listed) - len(names),
        len(found) - len(names),
    )


def _folders(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]


def _split_folders(names: list[str]) -> tuple[set[str], set[str]]:
    classes = np.array([name.split("/")[0] for name in names], dtype=np.str_)
    _, start, inverse = np.unique(classes, return_index=True, return_inverse=True)
    place = np.arange(len(names)) - start[inverse]  # of each in its class: the names are sorted
    held = place % VALIDATION_EVERY == VALIDATION_EVERY - 1
    return {n for n, h in zip(names, held) if not h}, {n for n, h in zip(names, held) if h}


def _read_split(file: Path) -> set[str]:
    try:
        entries = read_npy(file.read_bytes())
    except ObjectArray as error:
        raise ValueError(
            f"{str(file)!r} holds pickled Python objects, which are not loaded because they can run any code. If you "
            f'trust it, write it anew as text: python -c "import numpy as np; f = {str(file)!r}; '
            'np.save(f, np.load(f, allow_pickle=True).astype(str))"'
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(file)!r} cannot be read, fetch it again: {error}") from error
    if entries.dtype.kind not in "US" or entries.ndim != 1:
        raise ValueError(f"{str(file)!r} must hold a list of texts, not {entries.dtype} of shape {entries.shape}")
    texts = entries.tolist() if entries.dtype.kind == "U" else [os.fsdecode(entry) for entry in entries.tolist()]
    names = {text.strip("/") for text in texts}
    for name in names:
        parts = name.split("/")
        if len(parts) != 2 or any(part.startswith(".") or not part for part in parts):
            raise ValueError(f"{str(file)!r} holds {printable(name)!r}: entries must be '/SYNSET/OBJECT/'")
    return names


def has_poses(root: Path) -> bool:
    """Return whether a folder has 3DIEBench's layout, by its split files or a few of its objects."""
    if all((root / f"{split}_images.npy").is_file() for split in SPLITS):
        return True
    return any(
        os.path.isfile(os.path.join(entry, "latent_0.npy")) or os.path.isfile(os.path.join(entry, "latent_1.npy"))
        for group in _some_folders(root)
        for entry in _some_folders(group)
    )


def _some_folders(folder: Path | str) -> list[str]:
    """Return up to 8 folders among the first entries: enough to recognise a data set of any size."""
    with os.scandir(folder) as entries:
        some = (entry.path for entry in itertools.islice(entries, 200) if entry.is_dir() and entry.name[0] != ".")
        return list(itertools.islice(some, 8))
