"""`equicoherence evaluate MODEL...`: score frozen encoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import Comma, CommaOrNone, parse, split
from equicoherence.loading import preparing


@dataclass
class Arguments:
    """Score frozen encoders: run directories, timm:NAME, or weights files, FILE@ARCH.

    tasks: of transformation, knn, linear, on the images of --data, and of segmentation, depth, detection,
    localisation, keypoints, homography, video, looks, on the data sets in --sets; or all. Where not given: those on
    data sets where --sets is given, else those on images; as far as the data allow them. data: images, a run's own
    where not given; --tasks all leaves those tasks out for other models without it. sets: a folder that holds data
    sets in their published layouts. out: folder for results.json and downstream.json; with several models a folder
    for each in it, and a page that compares them.

    Of the tasks on images: transformations, borders, probes: of the transformation task. images: of its probes'
    training (a third as many test). limit: labelled images for knn and linear. repeats: of the probes.

    Of those on data sets: fine-tune: train the encoder with the head, in the tasks that have such a protocol.
    settings: TASK.SETTING=VALUE, and more with commas between.

    controls: also score random weights, on data sets once for models of one architecture, size and seed. arch: of
    weights files, or of one: FILE@ARCH. size: of models that are no runs. random-weights: evaluate timm models'
    initialisation. bad-image-tolerance: share of images that may be bad; a run's own where not given, else that of
    pretraining.
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


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        given = parse(Arguments, arguments, "evaluate")
        if not given.models:
            raise ValueError("evaluate needs a model: a run directory, timm:NAME, or a weights file, FILE@ARCH")
        from rich.console import Console

        from equicoherence.commands.evaluation_plan import (
            check_models,
            chosen_tasks,
            folders_of,
            models_on_images,
            parsed_settings,
            prove_writable,
        )
        from equicoherence.comparing import score_table
        from equicoherence.evaluation import TransformationConfig, evaluate
        from equicoherence.evaluation.model import load_model
        from equicoherence.evaluation.registry import make_tasks
        from equicoherence.evaluation.run import floor_kind, plan_jobs, refuse_inside, score_jobs
        from equicoherence.evaluation.subject import Subject, subjects_of
        from equicoherence.reporting.comparison.page import comparison
        from equicoherence.reporting.tables import summarise

        of_images, of_sets = chosen_tasks(None if given.tasks is None else split(given.tasks), given.sets is not None)
        every = given.tasks not in (None, "all")
        transformation = TransformationConfig(
            transformations=tuple(split(given.transformations)),
            borders=tuple(split(given.borders)),  # type: ignore[arg-type]
            probes=tuple(split(given.probes)),
            train=given.images,
            test=max(2, given.images // 3),
            repeats=given.repeats,
        )
        downstream = make_tasks(
            of_sets, fine_tuned=given.fine_tune, settings=parsed_settings(given.settings), every=every
        )
        subjects = subjects_of(given.models, given.arch, given.random_weights, given.size)
        models = [each.model for each in subjects]
        check_models(models)
        wanted = of_images is None or bool(of_images)
        on_images = models_on_images(models, given.data, leave_out=given.tasks == "all") if wanted else []
        jobs = plan_jobs(downstream, given.sets, every) if given.sets is not None and downstream else []
        several = len(subjects) > 1
        out = given.out or (Path("results") / "comparison" if jobs and several else None)
        folders = folders_of(subjects, out, given.data)
        floors: dict[object, Subject] = {}  # whose random weights are scored, for all of its kind
        for each in subjects if several else ():  # what is wrong with the last is said before the first is scored
            floors.setdefault(floor_kind(load_model(each.model, **each.options)), each)
        for folder in folders:
            refuse_inside(folder, jobs)
            prove_writable(folder)
    results, page = {}, None
    for number, (subject, folder) in enumerate(zip(subjects, folders), start=1):
        model = subject.model
        if model in on_images:
            results[model] = evaluate(
                model,
                data=given.data,
                tasks=of_images,
                out=folder,
                transformation=transformation,
                limit=given.limit,
                controls=given.controls,
                bad_image_tolerance=given.bad_image_tolerance,
                **subject.options,
            )
        if jobs:
            controls = given.controls and (not several or subject in floors.values())
            score_jobs(model, jobs, folder, controls=controls, **subject.options)
            page = comparison(folders[:number], out if several and out else folder)  # after each: the next may fail
    if results:
        entries = summarise({name: [found["rows"]] for name, found in results.items()})
        probe = "mlp" if "mlp" in transformation.probes else transformation.probes[0]
        Console().print(score_table(entries, list(results), probe=probe))
    if page:
        Console().print(f"page: {page}", highlight=False, soft_wrap=True)
