"""What is scored: tasks on data, checked before the first model is loaded."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from equicoherence.data import ImageSource, ThreeDIEBench, data_identity, describe_images, open_images, some_sizes
from equicoherence.data.poses.objects import MANIFEST
from equicoherence.evaluation.fingerprint import short_digest
from equicoherence.evaluation.registry import reads_data
from equicoherence.evaluation.store import as_read
from equicoherence.evaluation.task import POSES, Task
from equicoherence.notice import say
from equicoherence.sets import DECLARATIONS, Declaration, Found, SampleSet, VideoSet, find_sets, no_set
from equicoherence.sets.files import survey
from equicoherence.sets.tolerant import TOLERANCE

Splits = ImageSource | SampleSet | VideoSet
OBJECTS = "objects"


@dataclass(frozen=True)
class Job:
    """A part of a task on one data set.

    data: the set's name.
    train, test: its splits, open; train is None if it has none.
    about: what the scores depend on of the data: where it lies, its files, when the last was changed, its samples.
    folder: of the data; None for rendered objects.
    """

    task: Task
    data: str
    train: Splits | None
    test: Splits
    about: dict[str, Any]
    folder: Path | None

    @property
    def name(self) -> str:
        """The task, its protocol and the data set, as files and tables call it."""
        what = f"{self.task.name} {self.task.variant}".strip()
        return f"{what} ({self.task.protocol}) on {self.data}"

    def settings(self) -> dict[str, Any]:
        """Return all that the scores depend on besides the weights."""
        own = asdict(self.task)  # type: ignore[call-overload]
        return as_read({"revision": self.task.revision, **self.about, **own})


def plan_jobs(
    tasks: Sequence[Task],
    data: str | Path | None,
    sets: str | Path | None,
    every: bool = True,
    tolerance: float | None = None,
) -> list[Job]:
    """Return each part of each task with each data set that it fits.

    data: the images, or objects in poses, of the tasks that read those.
    sets: a folder that holds data sets, found by their layout (see `find_sets`), of the others.
    every: a task without data raises ValueError; where False it is left out and a line says so.
    tolerance: share of the samples of a data set in ``sets`` that may be bad; that of pretraining if None.

    Raises ValueError or FileNotFoundError also for data that cannot be opened, and where no task is left.
    """
    given = [task for task in tasks if reads_data(task)]
    others = [task for task in tasks if not reads_data(task)]
    if given and data is None:
        raise ValueError(f"{', '.join(task.name for task in given)}: give the images with --data")
    if others and sets is None:
        names = ", ".join(task.name for task in others)
        raise ValueError(f"{names}: give the folder of the data sets with --sets")
    jobs = _on_data(given, str(data), every) if given else []
    jobs += _on_sets(others, str(sets), every, TOLERANCE if tolerance is None else tolerance) if others else []
    if not jobs:
        raise ValueError("no task can be scored on these data; `equicoherence tasks` says what each needs")
    if twice := [name for name, count in Counter(job.name for job in jobs).items() if count > 1]:
        raise ValueError(f"{', '.join(twice)}: given twice, but each is scored once; leave one out")
    return jobs


def refuse_inside(out: Path, jobs: Sequence[Job]) -> None:
    """Raise ValueError where scores would be written into the folder of a data set, which they would change."""
    for job in jobs:
        if job.folder is not None and out.resolve().is_relative_to(job.folder.resolve()):
            place = str(job.folder)
            raise ValueError(
                f"{str(out)!r} is inside the data set {place!r}, which scores would change; give another --out"
            )


def _on_data(tasks: Sequence[Task], data: str, every: bool) -> list[Job]:
    train, test = open_images(data, "train"), open_images(data, "val")
    if not every and not isinstance(train, ThreeDIEBench):
        tasks = [task for task in tasks if task.kind != POSES] or tasks  # those on poses nobody asked for
    obstacles = {task.name: reason for task in tasks if (reason := _obstacle(task, train, test))}
    text = "; ".join(f"{task} {reason}" for task, reason in obstacles.items())
    if obstacles and (every or len(obstacles) == len(tasks)):
        more = "" if "transformation" in obstacles else "; give --tasks transformation, which needs no labels"
        raise ValueError(f"{data!r} cannot be used for this: {text}{more}")
    if obstacles:
        say(f"left out on {data}: {text}")
    say(describe_images(train, test))
    identity = data_identity(data)
    place = None if identity == OBJECTS else Path(identity)
    manifest = train.root / MANIFEST if isinstance(train, ThreeDIEBench) else None
    about = {
        "folder": identity,
        "files": short_digest(manifest.read_text("utf-8")) if manifest and manifest.is_file() else "",
        "newest": place.stat().st_mtime_ns if place and place.is_file() else 0,
        "splits": {"train": _images(train), "val": _images(test)},
    }
    name, folder = (place or Path(data)).name, place if place and place.is_dir() else None
    chosen = [task for task in tasks if task.name not in obstacles]
    return [Job(part, name, train, test, about, folder) for task in chosen for part in task.parts()]


def _obstacle(task: Task, train: ImageSource, test: ImageSource) -> str:
    if task.kind == POSES and not isinstance(train, ThreeDIEBench):
        return "needs objects in poses (3DIEBench, or what `equicoherence render` writes)"
    return task.obstacle(train, test)


def _on_sets(tasks: Sequence[Task], sets: str, every: bool, tolerance: float) -> list[Job]:
    wanted = {task.kind for task in tasks}
    known: tuple[Declaration, ...] = tuple(each for each in DECLARATIONS if each.kind in wanted)
    found = find_sets(sets, known)
    opened = {
        each: tuple(
            each.open(split, tolerance=tolerance) if split == "val" or each.declaration.trains else None
            for split in ("train", "val")
        )
        for each in found
    }  # all before any is scored: what is damaged is said at once
    surveyed = {folder: survey(folder) for folder in {each.folder for each in found}}
    jobs: list[Job] = []
    for task in tasks:
        fitting = [each for each in found if each.declaration.kind == task.kind]
        if not fitting and every:
            raise ValueError(f"task {task.name}: {no_set(task.kind, sets, known)}")
        if not fitting:
            say(f"{task.name} is left out: no data set for it in {sets!r}")
        for each in fitting:
            train, test = opened[each]
            assert test is not None
            about = _about(each, surveyed[each.folder], train, test)
            jobs += [Job(part, each.name, train, test, about, each.folder) for part in task.parts()]
    if not jobs:
        raise ValueError(f"no task can be scored: {sets!r} holds none of {', '.join(d.name for d in known)}")
    return jobs


def _about(found: Found, surveyed: Any, train: Any, test: Any) -> dict[str, Any]:
    splits = {name: _samples(split) for name, split in (("train", train), ("val", test)) if split is not None}
    files = {"files": short_digest(surveyed.sizes), "newest": surveyed.newest}
    return {"folder": str(found.folder.resolve()), **files, "splits": splits}


def _samples(split: SampleSet | VideoSet) -> str:
    """Return a description of the samples of a split, and its variant."""
    names = [split.name(index) for index in range(len(split))]
    lengths = [split.frames(index) for index in range(len(split))] if isinstance(split, VideoSet) else []
    return f"{len(split)} of {split.variant or 'the folder'}, {short_digest([names, lengths])}"


def _images(source: ImageSource) -> str:
    """Return a description of images and classes that differs for other files of the same names."""
    digest = hashlib.sha256()
    for index in range(len(source)):
        digest.update(source.name(index).encode() + b"\n")
    digest.update("\n".join(source.classes).encode())
    digest.update(source.labels.tobytes())
    digest.update(json.dumps(some_sizes(source)).encode())
    return f"{len(source)}, {digest.hexdigest()[:8]}"
