"""MODEL, or a module in memory, x tasks -> scores: `evaluate`, and what it takes where nothing is said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from equicoherence.data import check_data
from equicoherence.devices import Device
from equicoherence.errors import refusing
from equicoherence.evaluation.frozen_model import FrozenModel, at_layer, generators_kept
from equicoherence.evaluation.jobs import plan_jobs, refuse_inside
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.registry import all_tasks, default_tasks, make_tasks, reads_data
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.task import Task, Track, show_bar
from equicoherence.models.model_folder import with_source
from equicoherence.training.config_file import load_config


def evaluate(
    model: str | Path | nn.Module | FrozenModel,
    *,
    tasks: Sequence[str | Task] | None = None,
    data: str | Path | None = None,
    sets: str | Path | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    out: Path | None = None,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
    layer: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    bad_image_tolerance: float | None = None,
    device: Device = "auto",
    track: Track = show_bar,
) -> dict[str, Any]:
    """Evaluate a frozen encoder; return the content of its ``scores.json``.

    model: a run directory, the folder of a timm model, timm:NAME, hf-hub:OWNER/NAME, baseline:NAME, a weights file, or
        a module in memory that returns (B, C), (B, N, C) or (B, C, h, w) for images of ``size`` pixels, normalised by
        ``mean`` and ``std``.
    tasks: names, or tasks with their own settings; by default the usual tasks that ``data``, or ``sets`` if given,
        allow.
    data: the images, or objects in poses, for the tasks that read them; by default the run's own.
    sets: folder of data sets in their published layouts, for downstream tasks.
    settings: task -> setting -> value, for tasks given by name.
    out: folder of ``scores.json``. By default that of the run, and one in ``results`` for other models. For a module in
        memory nothing is written by default.
    controls: also score the same architecture with random weights, the floor.
    arch, random_weights, size: see `load_model`.
    layer: score the features of a layer instead of the output, see `at_layer`.
    mean, std: normalisation of a module in memory; None for none.
    bad_image_tolerance: largest share of the images of ``data`` that cannot be decoded.
    device: cpu, cuda, mps; auto is the first CUDA device if there is one, else cpu.

    Scores in the file with the same weights, settings and data are kept; see `Store`. Torch's global generators are not
    changed. Raises ValueError or FileNotFoundError, before anything is scored, for what cannot be scored, and
    FileExistsError if another process evaluates into the same folder.
    """
    with refusing(), generators_kept():
        given = {"arch": arch, "random_weights": random_weights or None, "size": size, "layer": layer}
        given |= {"mean": mean, "std": std}
        _refuse_idle(model, {option for option, value in given.items() if value is not None})
        scoring = Scoring(controls, bad_image_tolerance, track, device)
        if not isinstance(model, (nn.Module, FrozenModel)):
            model = with_source(model)
        chosen = chosen_tasks(tasks, sets is not None, settings)
        if data is None and isinstance(model, str | Path) and Path(model).is_dir():
            on_data = any(reads_data(task) for task in chosen)
            data = own_data(model) if on_data else None
        jobs = plan_jobs(chosen, data, sets, every=tasks is not None, tolerance=bad_image_tolerance)
        if isinstance(model, FrozenModel):
            frozen = model
        elif isinstance(model, nn.Module):
            frozen = as_frozen(model, size=size, mean=mean, std=std)
            frozen = frozen if layer is None else at_layer(frozen, layer)
        else:
            if out is None:
                out = results_folder(model, data, size, random_weights, layer)
            refuse_inside(out, jobs)
            frozen = load_model(model, arch=arch, random_weights=random_weights, size=size, layer=layer)
    return score_jobs(frozen, jobs, out, scoring, random_weights=random_weights)


def chosen_tasks(
    tasks: Sequence[str | Task] | None, sets: bool, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Task]:
    """Return the tasks to score; for None those by default, on data sets where ``sets``, else on given images."""
    if tasks is None:
        return make_tasks(default_tasks(sets), settings=settings, every=False)
    named = [task for task in tasks if isinstance(task, str)]
    made = {task.name: task for task in make_tasks(named, settings=settings)} if named or settings else {}
    if not tasks:
        raise ValueError(f"no task is given; name one of {', '.join(all_tasks())}")
    return [made[task] if isinstance(task, str) else task for task in tasks]


def _refuse_idle(model: str | Path | nn.Module | FrozenModel, given: set[str]) -> None:
    """Raise ValueError for an option of `evaluate` that does nothing for a model of this kind."""
    idle = {"arch", "random_weights"} if isinstance(model, nn.Module) else {"mean", "std"}
    if isinstance(model, FrozenModel):
        idle = {"arch", "random_weights", "size", "layer", "mean", "std"}
    what = type(model).__name__ if isinstance(model, (nn.Module, FrozenModel)) else repr(str(model))
    if odd := sorted(idle & given):
        raise ValueError(f"{', '.join(odd)}: given, but of no effect for {what}; leave it out")


def results_folder(
    model: str | Path, data: str | Path | None, size: int | None, random_weights: bool, layer: int | None = None
) -> Path:
    """Return where the scores of a model go by default, on images and on data sets alike.

    A run's go into itself, those of a layer of it into a folder there; others into results/, apart for each data set,
    size, kind of weights and layer.
    """
    at = "" if layer is None else layer_folder(layer)
    if Path(model).is_dir():
        return Path(model) / at
    asked = (Path(data).resolve().name if data else "", str(size or ""), "random" if random_weights else "", at)
    text = re.sub(r"[:/\\]", "-", str(model)).lstrip("-")
    return Path("results") / "-".join([text, *(part for part in asked if part)])


def layer_folder(layer: int) -> str:
    """Return the folder name of the scores of a layer, with its number as given."""
    return f"layer{layer}"


def own_data(run: str | Path) -> str:
    """Return the images that a run was trained on. Raises FileNotFoundError where they are there no more."""
    data = load_config(Path(run) / "config.yaml").data
    try:
        check_data(data)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{run} was trained on {data!r}, which is not here: say with --data where its images are now ({error})"
        ) from error
    return data
