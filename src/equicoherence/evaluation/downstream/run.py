"""Downstream tasks of `equicoherence evaluate`, on the data sets in a folder -> ``downstream.json``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console

from equicoherence.data.sets import DECLARATIONS, Declaration, Found, SampleSet, VideoSet, find_sets, no_set
from equicoherence.evaluation.downstream.task import Task, Track, show_bar
from equicoherence.evaluation.model import FrozenModel, generators_kept, load_model, random_control
from equicoherence.evaluation.partial import PartialResults, fingerprint
from equicoherence.evaluation.provenance import provenance
from equicoherence.files import replacing, write_aside

FILE = "downstream.json"
REVISION = 1  # raised with every change of a protocol, so that old scores are not taken for new ones


@dataclass(frozen=True)
class Job:
    """One task on one data set, its splits open; train is None where it has none."""

    task: Task
    found: Found
    train: SampleSet | VideoSet | None
    test: SampleSet | VideoSet

    @property
    def key(self) -> str:
        """Name of the task, its protocol and the data set, as files and tables call it."""
        return f"{self.task.name} ({self.task.protocol}) on {self.found.declaration.name}"

    def settings(self) -> dict[str, Any]:
        """Return all that the scores depend on besides the weights."""
        return {"revision": REVISION, "folder": str(self.found.folder), **asdict(self.task)}  # type: ignore[call-overload]


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

    Scores that the file holds already of the same weights and settings are kept; what is done of an interrupted
    evaluation is taken up by the next one. Torch's global generators are left as they were.
    """
    jobs = plan_jobs(tasks, data, every)
    with generators_kept():
        frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
        seed = frozen.config.seed if frozen.config else 0
        about = {"weights": fingerprint(frozen), "size": frozen.size, "arch": frozen.encoder.name}
        earlier = _earlier(out / FILE, about)
        partly = PartialResults(out / "downstream.partial.json", about)
        done: dict[str, dict[str, Any]] = dict(earlier)
        for control, build in _variants(frozen, seed, controls):
            for job in jobs:
                name = f"{control} {job.key}".strip()
                settings = _as_read(job.settings())
                if done.get(name, {}).get("settings") == settings:
                    continue
                make = partial(score_job, build, job, control, settings, out / "pictures", track)
                stale = partly.parts.get(name, {}).get("settings", settings) != settings
                if stale:
                    partly.parts.pop(name)
                done[name] = partly.get(name, make)
    names = {"model": str(model), "name": frozen.group, "seed": seed}
    results = _as_read({**names, **about, **provenance(), "parts": done})
    out.mkdir(parents=True, exist_ok=True)
    write_aside(out / FILE, json.dumps(results, indent=1))
    partly.drop()
    return results


def plan_jobs(tasks: Sequence[Task], data: str | Path, every: bool = True) -> list[Job]:
    """Return each task with each data set in ``data`` that it fits; see `evaluate_downstream`."""
    wanted = {task.kind for task in tasks}
    known: tuple[Declaration, ...] = tuple(each for each in DECLARATIONS if each.kind in wanted)
    found = find_sets(data, known)
    opened = {
        each: (each.open("train") if each.declaration.trains else None, each.open("val")) for each in found
    }  # all before any is scored: what is damaged is said at once
    jobs: list[Job] = []
    for task in tasks:
        of_task = [Job(task, each, *opened[each]) for each in found if each.declaration.kind == task.kind]
        if not of_task and every:
            raise ValueError(f"task {task.name}: {no_set(task.kind, data, known)}")
        if not of_task:
            text = f"{task.name} is left out: no data set for it in {str(data)!r}"
            Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
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
    pictures = {}
    for number, (title, pixels) in enumerate(found.pictures.items()):
        words = "-".join(part for part in (control, job.task.name, declaration.name, str(number)) if part)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{words}.png") as aside:
            Image.fromarray(pixels).save(aside, format="PNG")
        pictures[title] = f"pictures/{words}.png"
    return {
        "task": job.task.name,
        "protocol": job.task.protocol,
        "data": declaration.name,
        "control": control,
        "settings": settings,
        "counts": found.counts,
        "metrics": job.task.metrics,
        "rows": [asdict(row) for row in found.rows],
        "pictures": pictures,
        "seconds": round(time.perf_counter() - start, 1),
    }


def _earlier(path: Path, about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parts of an earlier file of the same weights; ValueError where it cannot be read."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = found["parts"] if all(found.get(k) == v for k, v in _as_read(about).items()) else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}); remove it, or give another --out") from error
    if parts is None:
        text = f"{path}: its scores are of other weights and are dropped"
        Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
        return {}
    return parts


def _as_read(value: Any) -> Any:
    """Return a value as it reads in a JSON file: lists for tuples."""
    return json.loads(json.dumps(value))
