"""`equicoherence evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
import yaml
from rich.console import Console

from equicoherence.commands.arguments import Comma, CommaOrNone, parse, split
from equicoherence.compare import score_table
from equicoherence.evaluation import TransformationConfig, evaluate
from equicoherence.evaluation.downstream.registry import TASKS as DOWNSTREAM
from equicoherence.evaluation.downstream.registry import make_tasks
from equicoherence.evaluation.downstream.run import evaluate_downstream
from equicoherence.evaluation.tasks import TASKS
from equicoherence.report.comparison import comparison
from equicoherence.report.tables import summarise


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Score frozen encoders: run directories, timm:NAME, or weights files with --arch.

        tasks: of transformation, knn, linear, on the images of --data, and of segmentation, depth, detection,
        localisation, keypoints, homography, video, looks, on the data sets in --sets; or all. Where not given: those of
        images, and where --sets is given also those of data sets, as far as the data allow them. data: images, a run's
        own where not given. sets: a folder that holds data sets in their published layouts. out: folder for
        results.json and downstream.json; with several models a folder for each in it, and a page that compares them.

        Of the tasks on images: transformations, borders, probes: of the transformation task. images: of its probes'
        training (a third as many test). limit: labelled images for knn and linear. repeats: of the probes.

        Of those on data sets: fine-tune: train the encoder with the head. settings: TASK.SETTING=VALUE, and more with
        commas between.

        controls: also score random weights. arch: of a weights file. size: of models that are no runs. random-weights:
        evaluate a timm model's initialisation. bad-image-tolerance: share of images that may be bad; a run's own where
        not given, else that of pretraining.
        """

        models: Annotated[tuple[str, ...], tyro.conf.Positional]
        data: str | None = None
        sets: str | None = None
        tasks: CommaOrNone = None
        out: Path | None = None
        transformations: Comma = "rotation,translation,scale,color,blur,se2,all"
        borders: Comma = "content,zeros"
        probes: Comma = "linear,mlp,attentive"
        images: int = 3000
        limit: int = 20000
        repeats: int = 1
        fine_tune: bool = False
        settings: CommaOrNone = None
        controls: bool = True
        arch: str | None = None
        random_weights: bool = False
        size: int | None = None
        bad_image_tolerance: float | None = None

    given = parse(Arguments, arguments, "evaluate")
    if not given.models:
        raise ValueError("evaluate needs a model: a run directory, timm:NAME, or a weights file with --arch NAME")
    if given.out is not None and len({Path(model).name for model in given.models}) < len(given.models):
        raise ValueError(
            "two models have the same last name and would share a folder of --out; evaluate them one by one"
        )
    of_images, of_sets = chosen_tasks(split(given.tasks), given.sets is not None)
    if of_sets and given.sets is None:
        raise ValueError(f"{', '.join(of_sets)}: give with --sets the folder that holds the data sets")
    transformation = TransformationConfig(
        transformations=tuple(given.transformations.split(",")),
        borders=tuple(given.borders.split(",")),  # type: ignore[arg-type]
        probes=tuple(given.probes.split(",")),
        train=given.images,
        test=max(2, given.images // 3),
        repeats=given.repeats,
    )
    downstream = make_tasks(of_sets, fine_tuned=given.fine_tune, settings=parsed_settings(given.settings))
    out = given.out or (Path("results") / "comparison" if of_sets and len(given.models) > 1 else None)
    results, folders = {}, []
    for model in given.models:
        folder = out if len(given.models) == 1 or out is None else out / Path(model).name.replace("timm:", "timm-")
        weights = {"arch": given.arch, "random_weights": given.random_weights, "size": given.size}
        if of_images is None or of_images:
            results[model] = evaluate(
                model,
                data=given.data,
                tasks=of_images,
                out=folder,
                transformation=transformation,
                limit=given.limit,
                controls=given.controls,
                bad_image_tolerance=given.bad_image_tolerance,
                **weights,
            )
        if downstream:
            assert given.sets is not None
            folder = folder or (Path(model) if Path(model).is_dir() else Path("results") / model.replace(":", "-"))
            every = given.tasks is not None and given.tasks != "all"
            evaluate_downstream(model, given.sets, folder, downstream, every=every, controls=given.controls, **weights)
            folders.append(folder)
    if results:
        entries = summarise({name: [found["rows"]] for name, found in results.items()})
        probe = "mlp" if "mlp" in transformation.probes else transformation.probes[0]
        Console().print(score_table(entries, list(results), probe=probe))
    if folders:
        page = comparison(folders, folders[0] if len(folders) == 1 or out is None else out)
        Console().print(f"page: {page}", highlight=False, soft_wrap=True)


def chosen_tasks(names: Sequence[str] | None, sets: bool) -> tuple[list[str] | None, list[str]]:
    """Return the tasks on images, None for all that the data allow, and those on data sets.

    Raises ValueError for a name that is neither.
    """
    if names is None or list(names) == ["all"]:
        return None, list(DOWNSTREAM) if sets or names else []
    unknown = [name for name in names if name not in (*TASKS, *DOWNSTREAM)]
    if unknown:
        known = ", ".join((*TASKS, *DOWNSTREAM, "all"))
        raise ValueError(f"task {unknown[0]!r} is unknown; choose among {known}")
    return [name for name in names if name in TASKS], [name for name in names if name in DOWNSTREAM]


def parsed_settings(text: str | None) -> dict[str, dict[str, Any]]:
    """Return settings by task of "TASK.SETTING=VALUE,...", values as YAML reads them; ValueError for other text."""
    found: dict[str, dict[str, Any]] = {}
    for part in text.split(",") if text else ():
        place, equals, value = part.partition("=")
        task, dot, setting = place.partition(".")
        if not equals or not dot or task not in DOWNSTREAM:
            raise ValueError(f"setting {part!r} is not TASK.SETTING=VALUE with a task of {', '.join(DOWNSTREAM)}")
        found.setdefault(task, {})[setting] = yaml.safe_load(value)
    return found
