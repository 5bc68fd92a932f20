"""The index of a tree in 3DIEBench's layout: read once from its millions of small files, then memory-mapped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from equicoherence.data.cache import cache_folder, taking_turns
from equicoherence.data.poses.objects import PoseObjects
from equicoherence.data.poses.scan import WIDEST, ScannedObject, scan_object
from equicoherence.data.source import Split

_FORMAT = "1"  # of the cached index: part of its key
_THREADS = 16  # the files lie where waiting costs more than computing


@dataclass(frozen=True)
class PoseIndex:
    """Where all views and pose paths are: O objects in the order of `PoseObjects`, N views and P paths in theirs."""

    objects: np.ndarray
    """(O,) bytes, ``SYNSET/OBJECT``: those with at least 2 views."""
    training: np.ndarray
    """() int64, how many of them are ``train``; the others are ``val``."""
    first: np.ndarray
    """(O + 1,) int64, first view of each object; the last is N."""
    views: np.ndarray
    """(N,) int32, number of the view: I of ``image_I.jpg``."""
    latents: np.ndarray
    """(N, 7 or 10) float32."""
    path_objects: np.ndarray
    """(P,) int64, number of the object, rising."""
    path_numbers: np.ndarray
    """(P,) int32, J of ``path_J_image_K.jpg``."""
    path_ends: np.ndarray
    """(P, 2) int64, rows of ``views``."""
    path_latents: np.ndarray
    """(P, K, 7 or 10) float32."""

    def part(self, split: Split) -> PoseIndex:
        """Return one side of the split, counted from 0; large arrays stay mapped."""
        begin, end = {"train": (0, self.training), "val": (self.training, None), "all": (0, None)}[split]
        begin, end = int(begin), len(self.objects) if end is None else int(end)
        row = int(self.first[begin])
        views = slice(row, int(self.first[end]))
        paths = slice(*np.searchsorted(self.path_objects, [begin, end]).tolist())
        return PoseIndex(
            objects=self.objects[begin:end],
            training=np.clip(self.training, begin, end) - begin,
            first=np.array(self.first[begin : end + 1]) - row,
            views=self.views[views],
            latents=self.latents[views],
            path_objects=np.array(self.path_objects[paths]) - begin,
            path_numbers=self.path_numbers[paths],
            path_ends=np.array(self.path_ends[paths]) - row,
            path_latents=self.path_latents[paths],
        )

    def whole(self) -> bool:
        """Return whether the arrays fit together: what is read from a file may be anything."""
        kinds = {"objects": "S", "latents": "f", "path_latents": "f"}
        n, paths = len(self.views), len(self.path_objects)
        return (
            all(value.dtype.kind == kinds.get(name, "i") for name, value in vars(self).items())
            and self.training.shape == ()
            and len(self.first) == len(self.objects) + 1
            and int(self.first[-1]) == n == len(self.latents)
            and paths == len(self.path_numbers) == len(self.path_ends) == len(self.path_latents)
            and self.latents.shape[1:] == self.path_latents.shape[2:]
        )


def load_index(found: PoseObjects) -> PoseIndex:
    """Read the index of a tree from the cache folder, or build it, with a notice on what was left out.

    It is kept under the tree's path, its objects, their split, and the times at which their folders changed: what
    is added, removed or renamed is seen; a file that is written over in its place is not. Of processes that ask at the
    same time, one makes it and the others wait.

    Raises:
        ValueError: no object has two views that can be used, or latents of 7 and of 10 numbers are mixed.
    """
    folder = cache_folder() / "poses"
    folder.mkdir(exist_ok=True)
    kept = folder / _key(found)
    if index := _read(kept):
        return index
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with taking_turns(
        kept.with_suffix(".lock"), lambda: console.print("another process reads the poses: waiting for it")
    ):
        if index := _read(kept):
            return index
        index, left_out, example = _make(found, console)
        _write(index, kept)
        for line in _report(found, left_out, example):
            console.print(line, markup=False)
    return _read(kept) or index


def make_index(found: PoseObjects, scanned: Iterable[ScannedObject]) -> tuple[PoseIndex, Counter[str], str | None]:
    """Join scanned objects, in the order of ``found``; also return what is left out, and one example.

    Raises:
        ValueError: no object has two views that can be used, or latents of 7 and of 10 numbers are mixed.
    """
    kept: list[tuple[str, ScannedObject]] = []
    training, left_out, example = 0, Counter[str](), None
    for position, (name, item) in enumerate(zip(found.names, scanned)):
        left_out += item.left_out
        example = example or item.example
        if len(item.views) < 2:
            left_out["objects with fewer than 2 views"] += 1
            continue
        kept.append((name, item))
        training += position < found.training
    if not kept:
        why = f", such as {example}" if example else ""
        raise ValueError(
            f"no object in {str(found.root)!r} has 2 views: SYNSET/OBJECT/image_I.jpg with latent_I.npy are needed{why}"
        )
    items = [item for _, item in kept]
    first = np.cumsum([0] + [len(item.views) for item in items], dtype=np.int64)
    states = max((len(path.latents) for item in items for path in item.paths), default=0)
    rows = []
    for number, item in enumerate(items):
        for path in item.paths:
            if len(path.latents) == states:
                rows.append((number, path.number, first[number] + np.searchsorted(item.views, path.ends), path.latents))
            else:  # its last states are missing
                left_out["incomplete paths"] += 1
    latents = np.concatenate([item.latents for item in items])
    path_latents = np.array([row[3] for row in rows], dtype=np.float32).reshape(len(rows), states, WIDEST)
    width = _width(found.root, np.concatenate([latents, path_latents.reshape(-1, WIDEST)]))
    index = PoseIndex(
        objects=np.array([os.fsencode(name) for name, _ in kept]),
        training=np.array(training, dtype=np.int64),
        first=first,
        views=np.concatenate([item.views for item in items]),
        latents=np.ascontiguousarray(latents[:, :width]),
        path_objects=np.array([row[0] for row in rows], dtype=np.int64),
        path_numbers=np.array([row[1] for row in rows], dtype=np.int32),
        path_ends=np.array([row[2] for row in rows], dtype=np.int64).reshape(-1, 2),
        path_latents=np.ascontiguousarray(path_latents[..., :width]),
    )
    return index, left_out, example


def _width(root: Path, latents: np.ndarray) -> int:
    short = np.isnan(latents[:, -1])
    if short.any() and not short.all():
        raise ValueError(
            f"{int(short.sum())} latents in {str(root)!r} hold 7 numbers and {int((~short).sum())} hold 10: keep data "
            "sets with and without translation apart"
        )
    return 7 if short.all() else WIDEST


def _make(found: PoseObjects, console: Console) -> tuple[PoseIndex, Counter[str], str | None]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="poses")
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            scanned = pool.map(scan_object, [str(found.root / name) for name in found.names])
            return make_index(found, bar.track(scanned, len(found.names), description="reading poses, once"))
    finally:
        pool.shutdown(cancel_futures=True)


def _report(found: PoseObjects, left_out: Counter[str], example: str | None) -> Iterator[str]:
    if not found.published:
        yield (
            f"{found.root} has no split files: every fifth object of a class is val. For a published split, put its "
            "train_images.npy and val_images.npy there"
        )
    counts = Counter({"objects of the split files that are not there": found.absent})
    counts += Counter({"objects in neither split file": found.unlisted}) + left_out
    if counts:
        yield f"{found.root}, left out: " + ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    if example:
        yield f"such as {example}"


def _key(found: PoseObjects) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, str(found.root.resolve()), found.training, found.published]).encode())
    digest.update("\0".join(found.names).encode("utf-8", "surrogateescape"))
    digest.update(np.array(found.modified, dtype=np.int64).tobytes())
    return digest.hexdigest()[:24]


def _read(folder: Path) -> PoseIndex | None:
    """Map a kept index into memory; None if there is none, or it is damaged."""
    names = [field.name for field in dataclasses.fields(PoseIndex)]
    try:
        index = PoseIndex(**{name: np.load(folder / f"{name}.npy", "r", allow_pickle=False) for name in names})
        return index if index.whole() else None
    except Exception:  # not there, or damaged, of which arrays make anything
        return None


def _write(index: PoseIndex, folder: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        aside.chmod(0o755)  # others who share the cache folder may read it
        for field in dataclasses.fields(PoseIndex):
            np.save(aside / f"{field.name}.npy", getattr(index, field.name), allow_pickle=False)
        try:
            aside.rename(folder)
        except OSError:
            if _read(folder) is None:  # damaged, and not just made by another process that no lock held back
                _remove(folder)
                aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
