"""Downstream tasks of `equicoherence evaluate`, on the data sets in a folder -> ``downstream.json``."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from equicoherence.errors import refusing
from equicoherence.evaluation.earlier import (
    alike,
    change,
    controlled_alike,
    of_revision,
    of_these_weights,
    pictures_of,
    read_scores,
)
from equicoherence.evaluation.model import FrozenModel, generators_kept, load_model, random_control
from equicoherence.evaluation.partial import PartialResults, fingerprint
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.task import Task, Track, show_bar
from equicoherence.files import alone, replacing, write_aside
from equicoherence.notice import say
from equicoherence.sets import DECLARATIONS, Declaration, Found, SampleSet, VideoSet, find_sets, no_set
from equicoherence.sets.files import survey
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import to_dict

FILE = "downstream.json"
REVISION = 2  # raised with every change of a protocol, so that old scores are not taken for new ones
DIGEST = 8  # letters of a hash in names of files and of configurations
# of a run: what its weights do not depend on, but for the seed, in which runs of one configuration differ
APART = ("name", "seed", "data", "threads", "cache", "log_every", "checkpoint_every", "track", "bad_image_tolerance")


@dataclass(frozen=True)
class Job:
    """One task on one data set, its splits open; train is None where it has none."""

    task: Task
    found: Found
    train: SampleSet | VideoSet | None
    test: SampleSet | VideoSet
    files: str
    """Digest of the names and sizes of the files in the data set's folder."""
    newest: int
    """When the last of them was changed, in nanoseconds."""

    @property
    def key(self) -> str:
        """Name of the task, its protocol and the data set, as files and tables call it."""
        return f"{self.task.name} ({self.task.protocol}) on {self.found.name}"

    def settings(self) -> dict[str, Any]:
        """Return all that the scores depend on besides the weights."""
        own = asdict(self.task)  # type: ignore[call-overload]
        splits = {"train": self.train, "val": self.test}
        read = {name: _identity(split) for name, split in splits.items() if split is not None}
        data = {"folder": str(self.found.folder.resolve()), "files": self.files, "newest": self.newest, "splits": read}
        return _as_read({"revision": REVISION, **data, **own})


def evaluate_downstream(
    model: str | Path,
    data: str | Path,
    out: Path,
    tasks: Sequence[Task],
    *,
    every: bool = True,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
    track: Track = show_bar,
) -> dict[str, Any]:
    """Score an encoder on downstream tasks; write ``out/downstream.json`` and its pictures, and return its content.

    data: a folder that holds data sets, found by their layout (see `find_sets`); each task is scored on each that it
    fits. every: a task that no data set fits raises ValueError; where False it is left out and a line says so.
    controls: also score the same architecture with random weights, the floor.

    See `score_jobs` for what the file held before.
    """
    jobs = plan_jobs(tasks, data, every)
    return score_jobs(
        model, jobs, out, controls=controls, arch=arch, random_weights=random_weights, size=size, track=track
    )


def score_jobs(
    model: str | Path,
    jobs: Sequence[Job],
    out: Path,
    *,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
    track: Track = show_bar,
) -> dict[str, Any]:
    """Score an encoder on jobs of `plan_jobs` as `evaluate_downstream` does; write the file and return its content.

    Scores that the file holds already of the same weights and settings are kept; those of other weights, of an earlier
    revision, and random weights' of other settings than the encoder's are dropped, and a line says so. What is done of
    an interrupted evaluation is taken up by the next one. Torch's global generators are left as they were.

    Raises FileExistsError where another process evaluates into ``out``, and ValueError where that lies in a data set or
    the file holds scores of another input size or architecture, or the one of random weights and the other not, for
    then the two belong into two files.
    """
    with refusing():
        refuse_inside(out, jobs)
    out.mkdir(parents=True, exist_ok=True)
    with alone(out, "evaluates into"), generators_kept():
        with refusing():
            frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
        return _score(frozen, str(model), jobs, out, controls, random_weights, track)


def _score(
    frozen: FrozenModel, model: str, jobs: Sequence[Job], out: Path, controls: bool, random_weights: bool, track: Track
) -> dict[str, Any]:
    arch, built, _, seed = floor_kind(frozen)
    encoder = {"arch": arch, "build": built, "random_weights": random_weights}
    about = {"weights": fingerprint(frozen), "size": frozen.size, **encoder}
    with refusing():
        before = read_scores(out / FILE)
        earlier = of_these_weights(out / FILE, before, model, about)
    partly = PartialResults(out / "downstream.partial.json", about)
    done = of_revision({**earlier, **partly.parts}, out / FILE, REVISION)
    shown = pictures_of(before.get("parts", {})) | pictures_of(partly.parts)
    planned = [(job, job.settings()) for job in jobs]
    work = [(*variant, *each) for variant in _variants(frozen, seed, controls) for each in planned]
    for number, (control, build, job, settings) in enumerate(work):
        name = f"{control} {job.key}".strip()
        same = [of[name] for of in (done, earlier) if name in of and alike(of[name]["settings"], settings)]
        if not same:
            if name in done:
                say(f"{name} is scored anew: {change(done[name]['settings'], settings)}")
            partly.parts.pop(name, None)
            try:
                partly.get(name, partial(score_job, build, job, control, settings, out / "pictures", track))
            except KeyboardInterrupt:
                say(f"{number} of {len(work)} scores of {model} are kept in {out}; the same command goes on from there")
                raise
        done[name] = same[0] if same else partly.parts[name]
        say(f"[{number + 1}/{len(work)}] {model}, {name}: {_told(done[name])}{', kept' if same else ''}")
    random = " (random weights)" if random_weights else ""
    names = {"model": model, "name": f"{frozen.group}{random}", "seed": seed, "config": config_digest(frozen.config)}
    results = _as_read({**names, **about, **provenance(), "parts": controlled_alike(done)})
    write_aside(out / FILE, json.dumps(results, indent=1))
    for file in shown - pictures_of(results["parts"]):
        (out / "pictures" / file).unlink(missing_ok=True)
    partly.drop()
    return results


def _told(part: Mapping[str, Any]) -> str:
    """Return the main figure of a part in a few words."""
    row = next((row for row in part["rows"] if not row["parameter"]), None)
    if row is None:
        return f"{len(part['pictures'])} pictures, {part['seconds']:.0f} s"
    floor = "" if row["floor"] is None else f" (constant {row['floor']:.3f})"
    return f"{row['metric']} {row['value']:.3f}{floor}, {part['seconds']:.0f} s"


def floor_kind(model: FrozenModel) -> tuple[str, str, int, int]:
    """Return what the scores of random weights beside a model depend on: architecture, build, input size and seed."""
    return model.encoder.name, _build(model), model.size, model.config.seed if model.config else 0


def _build(model: FrozenModel) -> str:
    """Return a short hash of what a model's features depend on besides its architecture's name and its weights."""
    encoder = model.encoder
    normalisation = [buffer.flatten().tolist() for buffer in (encoder.mean, encoder.std)]
    return _digest([encoder.args, encoder.layer, normalisation, model.pool])


def refuse_inside(out: Path, jobs: Sequence[Job]) -> None:
    """Raise ValueError where scores would be written into the folder of a data set, which they would change."""
    for job in jobs:
        if out.resolve().is_relative_to(job.found.folder.resolve()):
            place = str(job.found.folder)
            raise ValueError(
                f"{str(out)!r} lies in the data set {place!r}, of which scores are no part; give another --out"
            )


def config_digest(config: PretrainConfig | None) -> str | None:
    """Return a short hash of a run's configuration that is the same for its seeds, None for a model that is no run.

    Of the images it was trained on it holds the last name alone, so that a moved folder is the same.
    """
    if config is None:
        return None
    own = {name: value for name, value in to_dict(config).items() if name not in APART}
    return _digest({**own, "data": Path(config.data).name})


def plan_jobs(tasks: Sequence[Task], data: str | Path, every: bool = True) -> list[Job]:
    """Return each task with each data set in ``data`` that it fits; see `evaluate_downstream`."""
    wanted = {task.kind for task in tasks}
    known: tuple[Declaration, ...] = tuple(each for each in DECLARATIONS if each.kind in wanted)
    found = find_sets(data, known)
    opened = {
        each: (each.open("train") if each.declaration.trains else None, each.open("val")) for each in found
    }  # all before any is scored: what is damaged is said at once
    held = {}
    for folder in {each.folder for each in found}:
        surveyed = survey(folder)
        held[folder] = _digest(surveyed.sizes), surveyed.newest
    jobs: list[Job] = []
    for task in tasks:
        fitting = [each for each in found if each.declaration.kind == task.kind]
        of_task = [Job(task, each, *opened[each], *held[each.folder]) for each in fitting]
        if not of_task and every:
            raise ValueError(f"task {task.name}: {no_set(task.kind, data, known)}")
        if not of_task:
            say(f"{task.name} is left out: no data set for it in {str(data)!r}")
        jobs += of_task
    if not jobs:
        raise ValueError(f"no task can be scored: {str(data)!r} holds none of {', '.join(d.name for d in known)}")
    return jobs


def _variants(frozen: FrozenModel, seed: int, controls: bool) -> Iterator[tuple[str, Callable[[], FrozenModel]]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    yield "", lambda: frozen.to(device)
    if controls:
        yield "random", lambda: random_control(frozen, seed).to(device)


def score_job(
    build: Callable[[], FrozenModel], job: Job, control: str, settings: dict[str, Any], folder: Path, track: Track
) -> dict[str, Any]:
    """Return the scores of one job with what they are of; write its pictures."""
    start, declaration = time.perf_counter(), job.found.declaration
    found = job.task.score(build(), job.train, job.test, track)
    pictures, digest = {}, _digest([job.key, control, settings])
    for number, (title, pixels) in enumerate(found.pictures.items()):
        words = "-".join(part for part in (control, job.task.name, declaration.name, digest, str(number)) if part)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{words}.png") as aside:
            Image.fromarray(pixels).save(aside, format="PNG")
        pictures[title] = f"pictures/{words}.png"
    return {
        "task": job.task.name,
        "protocol": job.task.protocol,
        "data": job.found.name,
        "control": control,
        "settings": settings,
        "counts": found.counts,
        "input": found.input,
        "metrics": job.task.metrics,
        "rows": [asdict(row) for row in found.rows],
        "caption": job.task.caption,
        "pictures": pictures,
        "seconds": round(time.perf_counter() - start, 1),
        **provenance(),
    }


def _identity(split: SampleSet | VideoSet) -> str:
    """Return which samples a split has, and of which variant."""
    names = [split.name(index) for index in range(len(split))]
    lengths = [split.frames(index) for index in range(len(split))] if isinstance(split, VideoSet) else []
    return f"{len(split)} of {split.variant or 'the folder'}, {_digest([names, lengths])}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGEST]


def _as_read(value: Any) -> Any:
    """Return a value as it reads in a JSON file: lists for tuples."""
    return json.loads(json.dumps(value))
