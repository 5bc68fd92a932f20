"""What `equicoherence evaluate` scores and where it writes, checked before the first model is scored."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equicoherence.commands.arguments import split
from equicoherence.evaluation.registry import all_tasks, default_tasks, reads_data, task_class
from equicoherence.evaluation.suites import Suite, named_suite
from equicoherence.evaluation.task import Task
from equicoherence.free_memory import free_memory
from equicoherence.models.prefixes import BASELINE, is_baseline
from equicoherence.notice import say
from equicoherence.reporting.names import last_parts

if TYPE_CHECKING:
    from equicoherence.commands.evaluate import Arguments
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.evaluation.jobs import Job
    from equicoherence.evaluation.subject import Subject


PAIRS, CLASSES = ("transformation",), ("knn", "linear")
OPTIONS = dict.fromkeys(("transformations", "borders", "probes", "images", "repeats"), PAIRS) | {"limit": CLASSES}
"""Options of their own that some tasks have."""
COLORS = 3  # channels that baselines take
ROOM = 4 * 2**30  # the most bytes of weights of models that wait, loaded, until they are scored
SHARE = 4  # a quarter of free memory is the most, too


@dataclass
class Planned:
    """A model, what it is scored on, and where the scores go.

    has_floor: whether random weights are scored beside it, for all models of its kind.
    loaded: the model, where it was loaded to be checked and there is room for it.
    """

    subject: Subject
    jobs: Sequence[Job]
    folder: Path
    has_floor: bool
    loaded: FrozenModel | None = None

    def load(self) -> FrozenModel:
        """Return the model, which is not held here any more."""
        from equicoherence.evaluation.model import load_model

        model, self.loaded = self.loaded, None
        return model or load_model(self.subject.model, **self.subject.options)


def chosen_names(names: Sequence[str] | None, sets: bool) -> list[str]:
    """Return the names of the tasks to score, in the order of all tasks.

    names: None for those scored by default, on data sets where ``sets`` are given; ["all"] for all of both.

    Raises ValueError for a name that there is not, and for tasks on data sets without ``sets``.
    """
    if names is None:
        return default_tasks(sets)
    chosen = list(all_tasks()) if list(names) == ["all"] else [name for name in names if task_class(name)]
    if not sets and (lacking := [name for name in chosen if not reads_data(all_tasks()[name])]):
        raise ValueError(f"{', '.join(lacking)}: give the folder of the data sets with --sets")
    return [name for name in all_tasks() if name in chosen]


def chosen_suite(given: Arguments) -> Suite:
    """Return the suite that is asked for; ValueError for one that there is not, and beside what it fixes itself."""
    suite = named_suite(str(given.suite))
    own = ("tasks", "settings", "transformations", "borders", "probes", "images", "limit", "repeats", "sets")
    if fixed := [name for name in own if getattr(given, name) is not None] + ["fine_tune"] * given.fine_tune:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in fixed)
        raise ValueError(f"{options}: suite {suite.name} has fixed tasks and settings; leave these options out")
    return suite


def merged_settings(given: Arguments, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return settings by task: those of --settings, and those that have an option of their own.

    Raises ValueError for a setting that is given in both ways, and for an option of tasks that are not scored.
    """
    found = parsed_settings(given.settings)
    transformation: dict[str, Any] = {
        name: tuple(split(text))
        for name in ("transformations", "borders", "probes")
        if (text := getattr(given, name)) is not None
    }
    if given.images is not None:
        transformation |= {"train": given.images, "test": max(2, given.images // 3)}
    if given.repeats is not None:
        transformation["repeats"] = given.repeats
    limited = {} if given.limit is None else {"limit": given.limit}
    for tasks, own in ((PAIRS, transformation), (CLASSES, limited)):
        scored = [task for task in tasks if task in names]
        if own and not scored:
            options = [f"--{name}" for name in OPTIONS if tasks == OPTIONS[name] and getattr(given, name) is not None]
            raise ValueError(
                f"{', '.join(options)}: an option of {' and '.join(tasks)}, which is not among the tasks "
                f"{', '.join(names)}; leave it out, or give --settings {names[0]}.SETTING=VALUE"
            )
        for task in scored:
            if twice := sorted(set(own) & set(found.get(task, {}))):
                raise ValueError(f"{', '.join(twice)} of {task} is given twice; leave it out of --settings")
            found[task] = found.get(task, {}) | own
    return {task: own for task, own in found.items() if own}


def parsed_settings(text: str | None) -> dict[str, dict[str, Any]]:
    """Return settings by task of "TASK.SETTING=VALUE,...", values as text; ValueError for other text."""
    found: dict[str, dict[str, Any]] = {}
    for part in text.split(",") if text else ():
        place, equals, value = part.strip().partition("=")
        task, dot, setting = place.partition(".")
        if not equals or not dot or task not in all_tasks():
            raise ValueError(f"setting {part!r} is not TASK.SETTING=VALUE with a task of {', '.join(all_tasks())}")
        found.setdefault(task, {})[setting] = value
    return found


def plan(given: Arguments, tasks: Sequence[Task], every: bool, baselines: Sequence[str] = ()) -> list[Planned]:
    """Return what each model is scored on, then what baselines are. All that can be refused is refused here.

    every: a task that the data do not allow raises ValueError; where False it is left out.
    baselines: which to score too, at each size of the models, if they are not among them.
    """
    from equicoherence.evaluation.fingerprint import floor_kind
    from equicoherence.evaluation.jobs import plan_jobs, refuse_inside
    from equicoherence.evaluation.model import load_model
    from equicoherence.evaluation.subject import Subject, subjects_of

    subjects = subjects_of(given.models, given.arch, given.random_weights, given.size, given.layer)
    models = [each.model for each in subjects]
    on_data = any(reads_data(task) for task in tasks)
    reading, data = images_of(models, given.data, leave_out=given.tasks == "all") if on_data else ([], given.data)
    chosen = [task for task in tasks if reading or not reads_data(task)]
    several = len(subjects) > 1
    out = given.out or (Path("results") / "comparison" if given.sets is not None and several else None)
    folders = folders_of(subjects, out, given.data)
    floors: dict[object, Subject] = {}
    sizes: list[int] = []
    waiting: list[FrozenModel | None] = [None] * len(subjects)
    room = min(ROOM, free_memory() // SHARE)
    for number, each in enumerate(subjects):  # the last is refused before images are read
        model = load_model(each.model, **each.options)
        floors.setdefault(floor_kind(model), each)
        if model.encoder.channels == COLORS and not is_baseline(each.model):
            sizes = list(dict.fromkeys([*sizes, model.size]))
        if number == 0 or model.nbytes <= room:  # the first is scored now
            waiting[number] = model
            room -= model.nbytes
        del model
    jobs = plan_jobs(chosen, data, given.sets, every, given.bad_image_tolerance)
    beside = {
        baseline_folder(name, out, data, size, sizes): Subject(BASELINE + name, size=size)
        for size in sizes
        for name in baselines
        if BASELINE + name not in models
    }
    for folder in (*folders, *beside):
        refuse_inside(folder, jobs)
    own = [[job for job in jobs if each.model in reading or not reads_data(job.task)] for each in subjects]
    found = [
        Planned(each, of_model, folder, not several or each in floors.values(), model)
        for each, of_model, folder, model in zip(subjects, own, folders, waiting)
    ]
    return found + [Planned(each, jobs, folder, has_floor=False) for folder, each in beside.items()]


def baseline_folder(name: str, out: Path | None, data: str | None, size: int, sizes: Sequence[int]) -> Path:
    """Return where the scores of a baseline go that is scored beside models of these sizes."""
    from equicoherence.evaluation.run import results_folder

    if out is None:
        return results_folder(BASELINE + name, data, size, random_weights=False)
    return out / f"{BASELINE.replace(':', '-')}{name}{f'-{size}' if len(sizes) > 1 else ''}"


def fitting(model: FrozenModel, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs of tasks that an encoder can be scored by; one line names those that are left out."""
    reasons = {job.task.name: reason for job in jobs if (reason := job.task.unfit(model))}
    for name, reason in reasons.items():
        say(f"{name} is left out: {reason}")
    return [job for job in jobs if job.task.name not in reasons]


def images_of(models: Sequence[str], data: str | None, leave_out: bool) -> tuple[list[str], str | None]:
    """Return the models that tasks on given images are scored of, and the images, the same for all.

    data: None for each run's own.
    leave_out: without ``data``, models that are no runs, which have no images of their own, are left out, and a line
        says so; where False they are scored on the images that pretraining reads by default.

    Raises ValueError where the images of two models differ.
    """
    from equicoherence.data import data_identity

    if data is not None:
        return list(models), data
    kept = [model for model in models if Path(model).is_dir() or not leave_out]
    for model in models:
        if model not in kept:
            say(f"{model}: tasks on images are left out, because it has no images of its own; give them with --data")
    own = {model: _own_data(model) for model in kept}
    for model, images in own.items():
        if data_identity(images) != data_identity(own[kept[0]]):
            raise ValueError(
                f"{kept[0]} has the images {own[kept[0]]!r} and {model} has {images!r}, so scores cannot be compared; "
                "give the same images for all with --data"
            )
    if without := [model for model in kept if not Path(model).is_dir()]:
        say(f"{', '.join(without)}: no --data is given, so these are rendered objects; give images with --data DIR")
    return kept, own[kept[0]] if kept else None


def folders_of(subjects: Sequence[Subject], out: Path | None, data: str | None) -> list[Path]:
    """Return where the scores of each model go: ``out``, or for several folders in it, named by as many last parts of
    their paths as tell them apart, and by the layer; see `results_folder` for None.

    Raises ValueError where two models would share a folder.
    """
    from equicoherence.evaluation.run import layer_folder, results_folder

    if out is None:
        folders = [results_folder(each.model, data, each.size, each.random_weights, each.layer) for each in subjects]
    elif len(subjects) == 1:
        folders = [out]
    else:
        folders = [out / "-".join(parts) for parts in last_parts([_parts(each.model) for each in subjects])]
        folders = [
            folder if each.layer is None else folder.with_name(f"{folder.name}-{layer_folder(each.layer)}")
            for folder, each in zip(folders, subjects)
        ]
    owners: dict[Path, str] = {}
    for each, folder in zip(subjects, folders):
        if folder.resolve() in owners:
            other = owners[folder.resolve()]
            raise ValueError(
                f"{other!r} and {each.model!r} would share the folder {str(folder)!r}; evaluate them one by one, then "
                "compare their folders with `equicoherence report`"
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
    from equicoherence.evaluation.run import own_data
    from equicoherence.training.config import PretrainConfig

    return own_data(model) if Path(model).is_dir() else PretrainConfig().data


def _parts(model: str) -> tuple[str, ...]:
    """Return what a folder of a model's scores can be called by, the last name last."""
    path = Path(model)
    parts = path.resolve().parts if path.exists() else path.parts
    return tuple(part.replace(":", "-").strip("/") for part in parts)
