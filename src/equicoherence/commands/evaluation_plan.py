"""What `equicoherence evaluate` is to score and where that goes, settled before the first model is scored."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import timm

from equicoherence.evaluation.evaluate import results_folder
from equicoherence.evaluation.model import refuse_exported
from equicoherence.evaluation.registry import TASKS as DOWNSTREAM
from equicoherence.evaluation.subject import Subject
from equicoherence.evaluation.tasks import TASKS
from equicoherence.notice import say
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import load_config


def chosen_tasks(names: Sequence[str] | None, sets: bool) -> tuple[list[str] | None, list[str]]:
    """Return the tasks on images, None for all that the data allow, and those on data sets.

    names: None for all of one kind, those on data sets where ``sets`` are given; ["all"] for all of both. Raises
    ValueError for a name that is neither, and for tasks on data sets without ``sets``.
    """
    if names is None:
        return ([], list(DOWNSTREAM)) if sets else (None, [])
    unknown = [name for name in names if name not in (*TASKS, *DOWNSTREAM)]
    if unknown and list(names) != ["all"]:
        known = ", ".join((*TASKS, *DOWNSTREAM, "all"))
        raise ValueError(f"task {unknown[0]!r} is unknown; choose among {known}")
    of_images = None if unknown else [name for name in names if name in TASKS]
    of_sets = [name for name in DOWNSTREAM if unknown or name in names]
    if of_sets and not sets:
        raise ValueError(f"{', '.join(of_sets)}: give with --sets the folder that holds the data sets")
    return of_images, of_sets


def parsed_settings(text: str | None) -> dict[str, dict[str, str]]:
    """Return settings by task of "TASK.SETTING=VALUE,...", values as text; ValueError for other text."""
    found: dict[str, dict[str, str]] = {}
    for part in text.split(",") if text else ():
        place, equals, value = part.strip().partition("=")
        task, dot, setting = place.partition(".")
        if not equals or not dot or task not in DOWNSTREAM:
            raise ValueError(f"setting {part!r} is not TASK.SETTING=VALUE with a task of {', '.join(DOWNSTREAM)}")
        found.setdefault(task, {})[setting] = value
    return found


def check_models(models: Sequence[str]) -> None:
    """Raise ValueError or FileNotFoundError for the first model that there is not."""
    for model in models:
        kind, _, name = model.partition(":")
        if kind == "timm":
            if ":" not in name and not timm.is_model(name):  # hf-hub:NAME lies with others
                raise ValueError(f"timm has no model {name!r} ({model}); timm.list_models() names those there are")
        elif not Path(model).exists():
            raise FileNotFoundError(
                f"model {model!r} is neither a run directory, nor timm:NAME, nor a weights file (give it with --arch)"
            )
        elif Path(model).is_dir() and not (Path(model) / "config.yaml").is_file():
            refuse_exported(Path(model))
            raise FileNotFoundError(f"{model} is not a run directory: it has no config.yaml")


def models_on_images(models: Sequence[str], data: str | None, leave_out: bool) -> list[str]:
    """Return the models that tasks on images are scored of, all on the same images.

    data: the images, None for each run's own. leave_out: without ``data``, models that are no runs, which have no
    images of their own, are left out, and a line says so. Raises ValueError where the images of two models differ.
    """
    if data is not None:
        return list(models)
    kept = [model for model in models if Path(model).is_dir() or not leave_out]
    for model in models:
        if model not in kept:
            text = f"{model}: tasks on images are left out, for it has no images of its own; give them with --data"
            say(text)
    own = {model: _own_data(model) for model in kept} if len(kept) > 1 else {}
    for model, images in own.items():
        if _place(images) != _place(own[kept[0]]):
            raise ValueError(
                f"{kept[0]} has the images {own[kept[0]]!r} and {model} {images!r}, whose scores cannot be compared; "
                "give images for all with --data"
            )
    return kept


def folders_of(subjects: Sequence[Subject], out: Path | None, data: str | None) -> list[Path]:
    """Return where the scores of each model go: ``out``, or for several folders in it, named by as many last parts of
    their paths as tell them apart; see `results_folder` for None.

    Raises ValueError where two models would share a folder.
    """
    if out is None:
        folders = [results_folder(each.model, data, each.size, each.random_weights) for each in subjects]
    elif len(subjects) == 1:
        folders = [out]
    else:
        folders = [out / name for name in _names([_parts(each.model) for each in subjects])]
    owners: dict[Path, str] = {}
    for each, folder in zip(subjects, folders):
        if folder.resolve() in owners:
            other = owners[folder.resolve()]
            raise ValueError(
                f"{other!r} and {each.model!r} would share the folder {str(folder)!r}; evaluate them one by one, then "
                "`equicoherence report` puts their folders side by side"
            )
        owners[folder.resolve()] = each.model
    return folders


def prove_writable(folder: Path) -> None:
    """Make a folder; ValueError where that, or writing to it, fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"scores cannot be written to {str(folder)!r} ({error}); give another --out") from error


def _own_data(model: str) -> str:
    return (load_config(Path(model) / "config.yaml") if Path(model).is_dir() else PretrainConfig()).data


def _place(data: str) -> Path:
    return Path(data).expanduser().resolve()


def _names(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the last parts of paths, as many for each as it takes to tell it from the others."""
    counts = [1] * len(paths)
    while True:
        names = ["-".join(path[-count:]) for path, count in zip(paths, counts)]
        taken = Counter(names)
        grown = [count + (taken[name] > 1 and count < len(path)) for name, count, path in zip(names, counts, paths)]
        if grown == counts:
            return names
        counts = grown


def _parts(model: str) -> tuple[str, ...]:
    """Return what a folder of a model's scores can be called by, the last name last."""
    path = Path(model)
    parts = path.resolve().parts if path.exists() else path.parts
    return tuple(part.replace(":", "-").strip("/") for part in parts)
