"""Where meshes come from: a folder, a file, a packed set, or the builders of this package."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from equicoherence.data.objects.categories import CATEGORIES, build
from equicoherence.drawing import ColouredMesh
from equicoherence.rendering.mesh_file import fitted, read_mesh

EXTENSIONS = (".glb", ".gltf", ".obj", ".ply")  # in this order: of files that differ in nothing else the first is taken
PROCEDURAL_OBJECTS = 75
REFERRED = (".bin", ".mtl")  # buffers and materials: they belong to the meshes beside them
_ARRAYS = ("vertices", "faces", "face_rgb", "vertex_offset", "face_offset", "id")


@dataclass(frozen=True)
class Entry:
    """One mesh of a set, rendered as an object by itself."""

    category: str
    """The folder of its class, in 3DIEBench a synset."""
    name: str
    """The folder it is rendered into, in that one."""
    load: Callable[[], ColouredMesh]
    """Read or build it; raises `BadMesh`."""
    validation: bool | None = None
    """As its source has it; None if that has no split."""
    part_of: str | None = None
    """The object's folder that it lies in with other meshes; None if it is the object's only one."""

    @property
    def path(self) -> str:
        """Category and name, as a path."""
        return f"{self.category}/{self.name}"

    @property
    def object_name(self) -> str:
        """What the meshes of one object have in common in their category; a split never parts them."""
        return self.part_of or self.name


@dataclass(frozen=True)
class Meshes:
    """A set of meshes, sorted by category and name.

    ``digest`` changes with their names and with any byte of their files, buffers and materials (of a single file: those
    in its folder); textures are left out.
    """

    entries: tuple[Entry, ...]
    digest: str


def find_meshes(where: str | Path, *, seed: int = 0, objects: int | None = None) -> Meshes:
    """List the objects of ``where``, the first ``objects`` of each category, with all their meshes (all if None).

    where: ``procedural`` (the 20 categories of `data.objects`; 75 of each where ``objects`` is None), a folder or an
    .npz file of packed meshes, a mesh file, or a folder of mesh files. There the category is the first folder and the
    object the next (``CLASS/OBJECT/models/model_normalized.obj``, ``CLASS/OBJECT/model.obj``) or the file's name
    (``CLASS/OBJECT.glb``); files that lie in no folder are of category ``mesh``. An object's folder of several files
    gives an entry for each, all on one side of the split. A packed set is ``meshes.npz`` with vertices (N, 3), faces
    (M, 3) local to the object, face_rgb (M, 3) uint8, vertex_offset, face_offset (O + 1,) and id (O,)
    ``category/name``; columns id and split (train, val) of an ``index.csv`` beside it are followed.

    Raises:
        FileNotFoundError: there is nothing at ``where``, or no mesh in it.
        ValueError: a packed set is not as said above, or ``objects`` is under 1.
    """
    if objects is not None and objects < 1:
        raise ValueError(f"objects must be at least 1 of each category, got {objects}")
    if str(where) == "procedural":
        return _procedural(seed, objects or PROCEDURAL_OBJECTS)
    path = Path(where)
    if not path.exists():
        raise FileNotFoundError(f"no meshes at {str(where)!r}: give a folder, a mesh file or 'procedural'")
    packed = path / "meshes.npz" if path.is_dir() else path
    if packed.suffix == ".npz" and packed.exists():
        return _packed(packed, objects)
    return _files(path, objects)


def _procedural(seed: int, objects: int) -> Meshes:
    entries = [
        Entry(category, f"{number:04d}", partial(_built, category, seed, label, number))
        for label, category in enumerate(CATEGORIES)
        for number in range(objects)
    ]
    return _limited(entries, None, ["procedural"])


def _built(category: str, seed: int, label: int, number: int) -> ColouredMesh:
    return build(category, np.random.default_rng([seed, label, number]))


def _packed(path: Path, objects: int | None) -> Meshes:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path} is no packed set of meshes ({error}); it needs {', '.join(_ARRAYS)}") from error
    objects_there = len(arrays["id"])
    for name in ("vertex_offset", "face_offset"):
        if arrays[name].shape != (objects_there + 1,):
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}, but there are {objects_there} objects")
    splits: dict[str, str] = {}
    contents = [hashlib.blake2b(path.read_bytes()).hexdigest()]
    if (index := path.with_name("index.csv")).exists():
        splits = _splits(index)
        contents.append(hashlib.blake2b(index.read_bytes()).hexdigest())
    entries = []
    for number, name in enumerate(arrays["id"].tolist()):
        parts = name.split("/")
        if len(parts) != 2 or any(part.startswith(".") or not part or "\\" in part for part in parts):
            raise ValueError(f"{path}: object {number} is called {name!r}, which is not 'category/name'")
        held = {"train": False, "val": True}.get(splits.get(name, ""))
        entries.append(Entry(parts[0], parts[1], partial(_unpacked, arrays, number), held))
    return _limited(entries, objects, contents)


def _splits(index: Path) -> dict[str, str]:
    """Read the split, train or val, of each object."""
    with index.open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    if rows and not {"id", "split"} <= rows[0].keys():
        raise ValueError(
            f"{index} has columns {', '.join(map(str, rows[0]))}, but id and split are needed; or remove it"
        )
    for row in rows:
        if row["split"] not in ("train", "val"):
            raise ValueError(f"{index}: the split of {row['id']!r} is {row['split']!r}, but must be train or val")
    return {row["id"]: row["split"] for row in rows}


def _unpacked(arrays: dict[str, np.ndarray], number: int) -> ColouredMesh:
    vertices = slice(*arrays["vertex_offset"][number : number + 2])
    faces = slice(*arrays["face_offset"][number : number + 2])
    return fitted(arrays["vertices"][vertices], arrays["faces"][faces], arrays["face_rgb"][faces] / 255)


def _files(path: Path, objects: int | None) -> Meshes:
    root = path if path.is_dir() else path.parent
    found: dict[Path, Path] = {}
    contents: list[str] = []
    files = path.rglob("*") if path.is_dir() else [path, *_beside(path)]
    for file in sorted(files, key=lambda file: (file.suffix.lower(), file)):
        relative = file.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or not file.is_file():
            continue
        if file.suffix.lower() in EXTENSIONS:
            found.setdefault(relative.with_suffix(""), file)
        elif file.suffix.lower() in REFERRED:
            contents.append(f"{relative.as_posix()} {_content(file)}")
    if not found:
        raise FileNotFoundError(f"no mesh at {str(path)!r}: files end in {', '.join(EXTENSIONS)}")
    in_folder = Counter(Path(*stem.parts[:2]) for stem in found if len(stem.parts) > 2)
    entries = []
    for stem, file in sorted(found.items()):
        category, *below = stem.parts if len(stem.parts) > 1 else ("mesh", stem.name)
        several = in_folder[Path(*stem.parts[:2])] > 1
        name = "-".join(below) if several else below[0]
        load = partial(read_mesh, file, root)
        entries.append(Entry(category, name, load, part_of=below[0] if several else None))
        contents.append(f"{stem.as_posix()} {_content(file)}")
    return _limited(entries, objects, contents)


def _beside(file: Path) -> list[Path]:
    """Return the buffers or materials beside a mesh file that may refer to them."""
    if file.suffix.lower() not in (".gltf", ".obj"):
        return []
    return [other for other in file.parent.iterdir() if other.suffix.lower() in REFERRED]


def _content(file: Path) -> str:
    # all bytes, not the time: a folder may be copied; 10 GB take half a minute, and hours to render
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()


def _first_objects(entries: list[Entry], count: int | None) -> list[Entry]:
    """Return the meshes of the first ``count`` objects of a category."""
    names = set([*dict.fromkeys(entry.object_name for entry in entries)][:count])
    return [entry for entry in entries if entry.object_name in names]


def _limited(entries: Iterable[Entry], objects: int | None, contents: list[str]) -> Meshes:
    ordered = sorted(entries, key=lambda entry: (entry.category, entry.name))
    groups = groupby(ordered, lambda entry: entry.category)
    kept = [entry for _, group in groups for entry in _first_objects([*group], objects)]
    paths = [entry.path for entry in kept]
    if len(set(paths)) < len(paths):
        twice = next(a for a, b in pairwise(paths) if a == b)
        raise ValueError(f"two objects are called {twice!r}: rename one of their files")
    digest = hashlib.blake2b("\n".join([*paths, *contents]).encode(), digest_size=16)
    return Meshes(tuple(kept), digest.hexdigest())
