"""`equicoherence evaluate MODEL...`: score frozen encoders."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from equicoherence.commands.arguments import CommaOrNone, parse, split
from equicoherence.devices import Device
from equicoherence.errors import refusing
from equicoherence.loading import preparing
from equicoherence.reporting.names import encoder_names


@dataclass
class Arguments:
    """Score frozen encoders: run directories, timm:NAME, hf-hub:OWNER/NAME, weights files (FILE@ARCH), or
    baseline:NAME.

    `equicoherence tasks` lists the tasks, `equicoherence tasks NAME` what one does and its settings.

    models: run directories, timm:NAME, hf-hub:OWNER/NAME, weights files (FILE@ARCH), or baseline:thumbnail and
        baseline:spectrum, which have no weights.
    data: images, or objects in poses, for transformation, knn, linear, pose and retrieval; a run's own where not given.
    sets: a folder that holds data sets in their published layouts, for all other tasks.
    tasks: names, or all; where not given, the usual ones on data sets where --sets is given, else those that the data
        allow.
    suite: tasks with fixed settings, and a table of them for people who compare: equivariance.
    out: folder for scores.json; with several models a folder for each in it, and a page that compares them.
    settings: TASK.SETTING=VALUE, and more with commas between; a list has + between its values.
    transformations: of the transformation task.
    borders: of the transformation task.
    probes: of the transformation task.
    images: of the training of the transformation task's probes; a third as many test them.
    limit: labelled images of each split, for knn and linear.
    repeats: of the transformation task's probes.
    fine_tune: train the encoder with the head, in the tasks that have such a protocol.
    controls: also score random weights, once for models of one architecture, size and seed.
    arch: of weights files that do not say it; or of one, FILE@ARCH.
    random_weights: evaluate timm models' initialisation.
    size: input pixels of models that are no runs.
    layer: score what this layer says in place of the output: block or stage from 0; -1 is the last, -2 the one before.
    bad_image_tolerance: share of the images that may be bad; of --data a run's own where not given.
    device: cpu, cuda, mps, or auto, the first CUDA device where there is one.
    """

    models: Annotated[tuple[str, ...], tyro.conf.Positional]
    data: str | None = None
    sets: str | None = None
    tasks: CommaOrNone = None
    suite: str | None = None
    out: Path | None = None
    settings: CommaOrNone = None
    transformations: CommaOrNone = None
    borders: CommaOrNone = None
    probes: CommaOrNone = None
    images: int | None = None
    limit: int | None = None
    repeats: int | None = None
    fine_tune: bool = False
    controls: bool = True
    arch: str | None = None
    random_weights: bool = False
    size: int | None = None
    layer: int | None = None
    bad_image_tolerance: float | None = None
    device: Device = "auto"


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        given = parse(Arguments, arguments, "evaluate")
        if not given.models:
            raise ValueError("evaluate needs a model: a run, timm:NAME, baseline:NAME, or a weights file, FILE@ARCH")
        from equicoherence.commands.evaluation_plan import (
            chosen_names,
            chosen_suite,
            fitting,
            merged_settings,
            plan,
            prove_writable,
        )
        from equicoherence.evaluation.registry import make_tasks

        suite = None if given.suite is None else chosen_suite(given)
        asked = None if given.tasks is None else split(given.tasks)
        names = chosen_names(asked, given.sets is not None) if suite is None else list(suite.settings)
        every = given.tasks not in (None, "all")
        settings = merged_settings(given, names) if suite is None else suite.settings
        tasks = make_tasks(names, fine_tuned=given.fine_tune, settings=settings, every=every)

        from rich.console import Console

        from equicoherence.evaluation.run import Scoring, score_jobs
        from equicoherence.reporting.comparison.page import comparison
        from equicoherence.reporting.short_table import print_short

        Scoring(
            given.controls, given.bad_image_tolerance, device=given.device
        )  # what is wrong with these is said first
        planned = plan(given, tasks, every)
        several = len(planned) > 1
        on_page = several or given.sets is not None or any(task.axis for task in tasks)
        for each in planned:
            prove_writable(each.folder)
    found, page = [], None
    for number, each in enumerate(planned, start=1):
        with refusing():
            frozen = each.load()
        scoring = Scoring(given.controls and each.has_floor, given.bad_image_tolerance, device=given.device)
        jobs = each.jobs if suite is None else fitting(frozen, each.jobs)
        found.append(score_jobs(frozen, jobs, each.folder, scoring, random_weights=each.subject.random_weights))
        if on_page:  # written after each: the next may fail
            folders = [other.folder for other in planned[:number]]
            page = comparison(folders, given.out or Path("results") / "comparison" if several else each.folder)
    console = Console()
    if suite is not None:
        from equicoherence.reporting.suite_table import suite_tables, write_suite

        folders = [each.folder for each in planned]
        table = write_suite(suite, folders, (given.out or Path("results") / suite.name) if several else folders[0])
        for part in suite_tables(suite, folders):
            console.print(part)
        console.print(f"suite: {table}", highlight=False, soft_wrap=True)
    else:
        print_short(by_name(found, [each.folder for each in planned]), console)
    if page:
        console.print(f"page: {page}", highlight=False, soft_wrap=True)
    console.print(next_command(given, [each.folder for each in planned]), highlight=False, markup=False, soft_wrap=True)


def next_command(given: Arguments, folders: Sequence[Path]) -> str:
    """Return what one may do next: look at it, or give an encoder that is no run of ours what it lacks."""
    first = given.models[0]
    if len(given.models) == 1 and given.data and not Path(first).is_dir() and not first.startswith("baseline:"):
        return f"next: equicoherence adapt {shlex.quote(first)} --data {shlex.quote(given.data)}"
    return f"next: equicoherence report {shlex.join(map(str, folders))}"


def by_name(scores: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> dict[str, list[Mapping[str, Any]]]:
    """Return scores by the name of what was scored: seeds of one configuration together, others of its name apart."""
    kinds = [(each["name"], each["config"]) for each in scores]
    readable = encoder_names((each["name"], each["arch"]) for each in scores)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each, (name, config), folder in zip(scores, kinds, folders):
        others = [other for known, other in kinds if known == name]
        seeds = len(others) == 1 or (config is not None and set(others) == {config})
        found.setdefault(readable[name, each["arch"]] if seeds else folder.name, []).append(each)
    return found
