"""`equicoherence evaluate`: features once, then probes, then `results.json`."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from equicoherence.data import Loader, open_images
from equicoherence.data.loader import usable_cores
from equicoherence.evaluation.classification import classification
from equicoherence.evaluation.model import FrozenModel, load_model, random_control
from equicoherence.evaluation.transformation import TransformationConfig, transformation_regression
from equicoherence.training.checkpoint import write_text
from equicoherence.training.config import plain_values

REVISION = 2  # raised with every change of a probe or protocol, so that old scores are not taken for new ones
TASKS = ("transformation", "knn", "linear")


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
    weights (its backbone, MLP probe), the floor.
    """
    for task in tasks:
        if task not in TASKS:
            raise ValueError(f"task {task!r} is unknown; choose among {', '.join(TASKS)}")
    frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = data or (frozen.config.data if frozen.config else "objects")
    if out is None:
        out = Path(model) if Path(model).is_dir() else Path("results") / str(model).replace(":", "-").replace("/", "-")
    settings = transformation or TransformationConfig()
    rows, seconds = [], {}
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        shown = bar.add_task(f"{frozen.name}: reading {data}")
        train, test = (Loader(open_images(data, split), frozen.source) for split in ("train", "val"))
        variants = [("", frozen)] + ([("random", random_control(frozen))] if controls else [])
        for control, variant in variants:
            variant.to(device)
            own = settings
            if control:
                own = dataclasses.replace(settings, probes=("mlp",), representations=("backbone",), repeats=1)
            for task, scores in _tasks(variant, train, test, tasks, own, limit):
                start = time.perf_counter()
                for row in scores:
                    if control and row.get("control"):
                        continue  # the constant predictor has been scored
                    rows.append({**row, "control": control or row.get("control", "")})
                    what = " ".join(str(row[k]) for k in ("transformation", "border", "representation") if k in row)
                    bar.update(shown, description=f"{frozen.name} {control} {task} {what}")
                seconds[f"{task}{' ' + control if control else ''}"] = round(time.perf_counter() - start, 1)
    results = {
        "model": str(model),
        "name": frozen.group,
        "seed": frozen.config.seed if frozen.config else 0,
        "data": data,
        "settings": settings_of(data, tasks, settings, limit),
        **provenance(),
        "rows": rows,
        "seconds": seconds,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(results, indent=1), out / "results.json")
    return results


def settings_of(data: str, tasks: Sequence[str], settings: TransformationConfig, limit: int) -> dict[str, Any]:
    """Return what scores depend on besides the model, as ``results.json`` keeps it."""
    values = {"data": data, "tasks": list(tasks), "limit": limit, "revision": REVISION}
    return values | {"transformation": plain_values(settings)}


def provenance() -> dict[str, Any]:
    """Return date, machine and versions, to stand beside every figure."""
    import timm
    import torchvision

    from equicoherence import __version__

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    machine = {"processor": _processor(), "cores": usable_cores(), "gpu": gpu}
    versions = {
        "equicoherence": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "python": platform.python_version(),
    }
    return {"date": datetime.now(UTC).date().isoformat(), "machine": machine, "versions": versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _tasks(
    model: FrozenModel, train: Loader, test: Loader, tasks: Sequence[str], settings: TransformationConfig, limit: int
) -> Any:
    if "transformation" in tasks:
        yield "transformation", transformation_regression(model, train, test, settings)
    labelled = tuple(task for task in ("knn", "linear") if task in tasks)
    if labelled:
        yield " and ".join(labelled), classification(model, train, test, labelled, limit)
