"""`equicoherence evaluate`: features once, then probes, then `results.json`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from equicoherence.data import Loader, open_images
from equicoherence.errors import refusing
from equicoherence.evaluation.classification.accuracy import LabelledFeatures, classification
from equicoherence.evaluation.model import FrozenModel, generators_kept, load_model, random_control
from equicoherence.evaluation.partial import PartialResults, fingerprint
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.results import kept_results, merged
from equicoherence.evaluation.tasks import LIMIT, choose_tasks, settings_of
from equicoherence.evaluation.transformation.regression import TransformationConfig, make_pairs, score_transformation
from equicoherence.files import write_aside
from equicoherence.training.config import PretrainConfig


@dataclass(frozen=True)
class Part:
    """A share of an evaluation that is scored and kept as a whole: one transformation, or a task of classification.

    images: how many of each split its rows are of, known once they are made.
    """

    name: str
    task: str
    control: str
    rows: Callable[[], Iterator[dict[str, Any]]]
    images: Callable[[], dict[str, int]]


def evaluate(
    model: str | Path,
    *,
    data: str | None = None,
    tasks: Sequence[str] | None = None,
    out: Path | None = None,
    transformation: TransformationConfig | None = None,
    limit: int = LIMIT,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
    bad_image_tolerance: float | None = None,
) -> dict[str, Any]:
    """Score a frozen encoder and write ``results.json``; return its content.

    data: as for pretraining; a run's own data where None. tasks: all that the data allows where None. out: folder for
    ``results.json``; a run's own where None. limit: labelled images per split for knn and linear. controls: also score
    the same architecture with random weights of the run's seed (its backbone, the same probes), the floor.
    bad_image_tolerance: share of images that may be bad; where None a run's own, else that of pretraining.

    Tasks that the file holds already of the same weights are kept, but for those scored now; scores of other weights
    are dropped, and other data, size or architecture raises ValueError. What is done of an interrupted evaluation
    stands in ``results.partial.json`` and is taken up by the next one of the same weights, settings, machine and
    versions. Torch's global generators are left as they were.
    """
    with generators_kept():
        with refusing():
            if limit < 1:
                raise ValueError(f"limit is {limit}, but at least 1 labelled image is needed")
            out = results_folder(model, data, size, random_weights) if out is None else out
            frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
            config = frozen.config or PretrainConfig()
            data = data or config.data
            about = _about(frozen, data, random_weights)
            earlier = kept_results(out / "results.json", about)
            chosen = choose_tasks(tasks, data, limit)
            settings = transformation or TransformationConfig()
            tolerance = config.bad_image_tolerance if bad_image_tolerance is None else bad_image_tolerance
            train, test = (
                Loader(open_images(data, split), frozen.source, threads=config.threads or None, tolerance=tolerance)
                for split in ("train", "val")
            )
            said = provenance()
            entry = {"controls": controls, **said}
            entries = {task: {"settings": settings_of(task, settings, limit), **entry} for task in chosen}
            partly = PartialResults(out / "results.partial.json", {**about, "tasks": _undated(entries)})
            parts = _parts(frozen, train, test, chosen, settings, limit, config.seed if controls else None)
        new = _scored(parts, entries, partly, frozen.name)
    name = {"model": str(model), "name": frozen.group, "seed": config.seed}
    results = json.loads(json.dumps({**name, **about, **said, **merged(earlier, new)}))  # as it reads in the file
    out.mkdir(parents=True, exist_ok=True)
    write_aside(out / "results.json", json.dumps(results, indent=1))
    partly.drop()
    return results


def _about(model: FrozenModel, data: str, random_weights: bool) -> dict[str, Any]:
    """Return what all scores of a ``results.json`` share."""
    encoder = {"arch": model.encoder.name, "random_weights": random_weights, "weights": fingerprint(model)}
    return {"data": data, "size": model.size, **encoder}


def _undated(entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return entries of tasks without what may be another when an evaluation is taken up again."""
    return {task: {k: v for k, v in entry.items() if k not in ("date", "controls")} for task, entry in entries.items()}


def _scored(
    parts: Iterator[Part], entries: Mapping[str, dict[str, Any]], partly: PartialResults, name: str
) -> dict[str, Any]:
    """Return tasks, rows and seconds of the parts; those that are done in part are taken up."""
    new: dict[str, Any] = {"tasks": {}, "rows": [], "seconds": {}}
    with _progress() as bar:
        show = partial(bar.update, bar.add_task(f"{name}: reading images"))
        for part in parts:
            found = partly.get(part.name, partial(score, part, lambda what: show(description=f"{name} {what}")))
            new["tasks"].setdefault(part.task, {**entries[part.task], "images": found["images"]})
            new["rows"] += found["rows"]
            timed = f"{part.task} {part.control}".strip()
            new["seconds"][timed] = round(new["seconds"].get(timed, 0) + found["seconds"], 1)
    return new


def score(part: Part, show: Callable[[str], None]) -> dict[str, Any]:
    """Return the rows of a part, of how many images they are, and the seconds they took; tell ``show`` what was scored
    last."""
    start, rows = time.perf_counter(), []
    for row in part.rows():
        if part.control and row.get("control"):
            continue  # the constant predictor has been scored
        rows.append({**row, "control": part.control or row.get("control", "")})
        what = " ".join(str(row[k]) for k in ("transformation", "border", "representation") if k in row)
        show(f"{part.control} {part.task} {what}")
    return {"rows": rows, "images": part.images(), "seconds": time.perf_counter() - start}


def _parts(
    model: FrozenModel,
    train: Loader,
    test: Loader,
    tasks: Sequence[str],
    settings: TransformationConfig,
    limit: int,
    control_seed: int | None,
) -> Iterator[Part]:
    """Yield the parts of the model, then those of its random control of a seed, None for no control."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    variants = [("", lambda: model)]
    if control_seed is not None:
        variants.append(("random", partial(random_control, model, control_seed)))
    for control, build in variants:
        variant = build().to(device)
        if control:
            settings = dataclasses.replace(settings, representations=("backbone",), repeats=1)
        if "transformation" in tasks:
            yield from _transformation_parts(variant, train, test, settings, control)
        yield from _classification_parts(LabelledFeatures(variant, train, test, limit), tasks, control)


def _transformation_parts(
    model: FrozenModel, train: Loader, test: Loader, settings: TransformationConfig, control: str
) -> Iterator[Part]:
    pairs = make_pairs(model, train, test, settings)
    for name in settings.transformations:
        rows = partial(score_transformation, pairs, name, settings)
        yield Part(f"{control} transformation {name}".strip(), "transformation", control, rows, pairs.counts)


def _classification_parts(features: LabelledFeatures, tasks: Sequence[str], control: str) -> Iterator[Part]:
    for task in ("knn", "linear"):
        if task in tasks:
            rows = partial(classification, features, task)
            yield Part(f"{control} {task}".strip(), task, control, rows, features.counts)


def results_folder(model: str | Path, data: str | None, size: int | None, random_weights: bool) -> Path:
    """Return where the results of a model go by default, on images and on data sets alike.

    A run's go into itself, others into results/, apart for each data set, size and kind of weights that was asked for.
    """
    if Path(model).is_dir():
        return Path(model)
    asked = (Path(data).resolve().name if data else "", str(size or ""), "random" if random_weights else "")
    text = str(model).replace(":", "-").replace("/", "-").lstrip("-")
    return Path("results") / "-".join([text, *(part for part in asked if part)])


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
