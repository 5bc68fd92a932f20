"""`equicoherence evaluate`: features once, then probes, then `results.json`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from equicoherence.data import Loader, open_images
from equicoherence.evaluation.classification import check_labels, classification
from equicoherence.evaluation.model import FrozenModel, load_model, random_control
from equicoherence.evaluation.partial import PartialResults, fingerprint
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.transformation import TransformationConfig, make_pairs, score_transformation
from equicoherence.training.checkpoint import write_text
from equicoherence.training.config import plain_values

REVISION = 3  # raised with every change of a probe or protocol, so that old scores are not taken for new ones
TASKS = ("transformation", "knn", "linear")


@dataclass(frozen=True)
class Part:
    """A share of an evaluation that is scored and kept as a whole: one transformation, or all of classification."""

    name: str
    task: str
    control: str
    rows: Callable[[], Iterator[dict[str, Any]]]


def evaluate(
    model: str | Path,
    *,
    data: str | None = None,
    tasks: Sequence[str] = TASKS,
    out: Path | None = None,
    transformation: TransformationConfig | None = None,
    limit: int = 20000,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
) -> dict[str, Any]:
    """Score a frozen encoder and write ``results.json``; return its content.

    data: as for pretraining; a run's own data where None. out: folder for ``results.json``; a run's own where None.
    limit: labelled images per split for knn and linear. controls: also score the same architecture with random
    weights (its backbone, MLP probe), the floor. What is done of an interrupted evaluation stands in
    ``results.partial.json`` and is taken up by the next one of the same weights, settings, machine and versions.
    """
    for task in tasks:
        if task not in TASKS:
            raise ValueError(f"task {task!r} is unknown; choose among {', '.join(TASKS)}")
    if limit < 1:
        raise ValueError(f"limit is {limit}, but at least 1 labelled image is needed")
    frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
    data = data or (frozen.config.data if frozen.config else "objects")
    out = _folder(model) if out is None else out
    settings = transformation or TransformationConfig()
    about = {"settings": settings_of(data, tasks, settings, limit), **provenance()}
    key = {k: v for k, v in about.items() if k != "date"} | {"size": frozen.size, "weights": fingerprint(frozen)}
    kept = PartialResults(out / "results.partial.json", key)
    rows, seconds = [], {}
    with _progress() as bar:
        show = partial(bar.update, bar.add_task(f"{frozen.name}: reading {data}"))
        for part in _parts(frozen, data, tasks, settings, limit, controls):
            found = kept.get(part.name, partial(score, part, lambda what: show(description=f"{frozen.name} {what}")))
            rows += found["rows"]
            timed = f"{part.task} {part.control}".strip()
            seconds[timed] = round(seconds.get(timed, 0) + found["seconds"], 1)
    results = {
        "model": str(model),
        "name": frozen.group,
        "seed": frozen.config.seed if frozen.config else 0,
        "data": data,
        **about,
        "rows": rows,
        "seconds": seconds,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(results, indent=1), out / "results.json")
    kept.drop()
    return results


def settings_of(data: str, tasks: Sequence[str], settings: TransformationConfig, limit: int) -> dict[str, Any]:
    """Return what scores depend on besides the model, as ``results.json`` keeps it."""
    values = {"data": data, "tasks": list(tasks), "limit": limit, "revision": REVISION}
    return values | {"transformation": plain_values(settings)}


def score(part: Part, show: Callable[[str], None]) -> dict[str, Any]:
    """Return the rows of a part and the seconds they took; tell ``show`` what was scored last."""
    start, rows = time.perf_counter(), []
    for row in part.rows():
        if part.control and row.get("control"):
            continue  # the constant predictor has been scored
        rows.append({**row, "control": part.control or row.get("control", "")})
        what = " ".join(str(row[k]) for k in ("transformation", "border", "representation") if k in row)
        show(f"{part.control} {part.task} {what}")
    return {"rows": rows, "seconds": time.perf_counter() - start}


def _parts(
    model: FrozenModel, data: str, tasks: Sequence[str], settings: TransformationConfig, limit: int, controls: bool
) -> Iterator[Part]:
    """Yield the parts of the model, then those of its random control; data and arguments are checked before the
    first."""
    train, test = (Loader(open_images(data, split), model.source) for split in ("train", "val"))
    labelled = tuple(task for task in ("knn", "linear") if task in tasks)
    if labelled:
        check_labels(train, test)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for control in ("", "random") if controls else ("",):
        variant = (random_control(model) if control else model).to(device)
        if control:
            settings = dataclasses.replace(settings, probes=("mlp",), representations=("backbone",), repeats=1)
        if "transformation" in tasks:
            yield from _transformation_parts(variant, train, test, settings, control)
        if labelled:
            task = " and ".join(labelled)
            rows = partial(classification, variant, train, test, labelled, limit)
            yield Part(f"{control} {task}".strip(), task, control, rows)


def _transformation_parts(
    model: FrozenModel, train: Loader, test: Loader, settings: TransformationConfig, control: str
) -> Iterator[Part]:
    pairs = make_pairs(model, train, test, settings)
    for name in settings.transformations:
        rows = partial(score_transformation, pairs, name, settings)
        yield Part(f"{control} transformation {name}".strip(), "transformation", control, rows)


def _folder(model: str | Path) -> Path:
    """Return where the results of a model go by default: a run into itself, others into results/."""
    return Path(model) if Path(model).is_dir() else Path("results") / str(model).replace(":", "-").replace("/", "-")


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
