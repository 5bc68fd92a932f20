"""`equicoherence evaluate MODEL...`: evaluate frozen encoders."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from equicoherence.commands.arguments import CommaOrNone, FloatOrNone, IntOrNone, PathOrNone, TextOrNone, parse, split
from equicoherence.commands.model_argument import checked_model
from equicoherence.devices import Device
from equicoherence.errors import refusing
from equicoherence.loading import preparing
from equicoherence.models.missing import KINDS
from equicoherence.models.prefixes import is_baseline
from equicoherence.models.published import BARE, check_published
from equicoherence.models.train_setting import HEAD
from equicoherence.notice import say
from equicoherence.reporting.names import encoder_names, folder_names

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.evaluation.suites import Suite

LARGE = 256  # pixels; a model's own size above it is said


@dataclass
class Arguments:
    """Evaluate frozen encoders.

    `equicoherence tasks` lists the tasks; `equicoherence tasks NAME` describes one and its settings.

    Args:
        models: Run directories, timm:NAME, hf-hub:OWNER/NAME, weights files (FILE@ARCH), folders of timm models (such
            as exports), or baseline:thumbnail and baseline:spectrum, which have no weights.
        data: Images, or objects in poses, for transformation, knn, linear, layers, pose, retrieval and others; by
            default the run's own.
        sets: Folder with data sets in their published layouts, for all other tasks.
        tasks: Names of tasks, or all. By default the usual tasks on data sets if --sets is given, else all that the
            data allow.
        suite: Tasks with fixed settings and one comparable table: equivariance or adapt. By default no suite.
        out: Folder for scores.json and, except for a single run, a page; with several models, one folder for each is
            made in it. By default a run's own folder; for other models a folder in results/.
        settings: Settings of tasks: TASK.SETTING=VALUE, several with commas between; values of a list are joined by +.
            By default those that `equicoherence tasks NAME` shows.
        transformations: Which transformations of an image the task transformation predicts, each evaluated separately.
            By default rotation, translation, scale, color, blur, se2 and all.
        borders: What an image shows beyond the edge of its source, in the task transformation. content: the rest of
            the photograph; reflection: its mirror image; zeros: black, which reveals the angle. By default content and
            zeros.
        probes: What predicts the transformation: linear (a ridge regression), mlp or attentive (reads tokens). By
            default all three.
        images: Training images of the probes of the task transformation; a third as many are test images. By default
            3000 and 1000.
        limit: Largest number of labelled images of each split, for knn and linear; by default 20000.
        repeats: Seeds of the probes of the task transformation; by default 1.
        fine_tune: Train the encoder with the head, in tasks with such a protocol.
        controls: Also evaluate random weights, once for models of one architecture, size and seed; with
            --suite equivariance, baseline:thumbnail and baseline:spectrum too.
        arch: The timm architecture of weights files, if FILE@ARCH does not give it.
        random_weights: Evaluate the initialisation of timm models, without their weights.
        size: Input pixels, for models that are not runs; by default the model's own size.
        layer: Evaluate this layer instead of the output: block or stage, counted from 0; -1 is the last one.
        bad_image_tolerance: Largest share of images that may be undecodable; for --data by default the run's own.
        device: Where to compute: cpu, cuda, mps; auto is the first CUDA device if there is one, else cpu.
    """

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ..", help_behavior_hint="")]
    data: TextOrNone = None
    sets: TextOrNone = None
    tasks: CommaOrNone = None
    suite: TextOrNone = None
    out: PathOrNone = None
    settings: CommaOrNone = None
    transformations: CommaOrNone = None
    borders: CommaOrNone = None
    probes: CommaOrNone = None
    images: IntOrNone = None
    limit: IntOrNone = None
    repeats: IntOrNone = None
    fine_tune: bool = False
    controls: bool = True
    arch: TextOrNone = None
    random_weights: bool = False
    size: IntOrNone = None
    layer: IntOrNone = None
    bad_image_tolerance: FloatOrNone = None
    device: Device = "auto"


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        given = parse(Arguments, arguments, "evaluate")
        if not given.models:
            raise ValueError(f"evaluate needs a MODEL: {KINDS}")
        given.models = tuple(map(checked_model, given.models))
        if given.data is not None:
            from equicoherence.data import check_data

            check_data(given.data)
        from equicoherence.commands.evaluation_plan import (
            chosen_names,
            chosen_suite,
            fitting,
            merged_settings,
            plan,
            prove_writable,
        )
        from equicoherence.evaluation.registry import make_tasks, reads_data

        suite = None if given.suite is None else chosen_suite(given)
        asked = None if given.tasks is None else split(given.tasks)
        names = chosen_names(asked, given.sets is not None) if suite is None else list(suite.settings)
        every = given.tasks not in (None, "all")
        settings = merged_settings(given, names) if suite is None else suite.settings
        tasks = make_tasks(names, fine_tuned=given.fine_tune, settings=settings, every=every)
        for model in () if given.random_weights else given.models:
            check_published(model, BARE)

        from equicoherence.evaluation.scoring import Scoring, score_jobs
        from equicoherence.reporting.comparison.page import comparison
        from equicoherence.reporting.explorer.rotated_file import keep_rotated

        Scoring(
            given.controls, given.bad_image_tolerance, device=given.device
        )  # what is wrong with these is said first
        planned = plan(given, tasks, every, suite.baselines if suite is not None and given.controls else ())
        several = len(given.models) > 1
        is_run = Path(planned[0].subject.model).is_dir()  # its page is that of `report`
        on_page = several or not is_run or given.sets is not None or any(task.axis for task in tasks)
        for each in planned:
            prove_writable(each.folder)
    found, page = [], None
    for number, each in enumerate(planned, start=1):
        with refusing():
            frozen = each.load()
        _say_what_is_read(each.subject.model, frozen, given.size, suite)
        scoring = Scoring(given.controls and each.has_floor, given.bad_image_tolerance, device=given.device)
        jobs = each.jobs if suite is None else fitting(frozen, each.jobs)
        found.append(score_jobs(frozen, jobs, each.folder, scoring, random_weights=each.subject.random_weights))
        images = next((job for job in jobs if reads_data(job.task)), None)
        if on_page and images is not None:
            keep_rotated(frozen, images, each.folder, given.bad_image_tolerance, given.device)
        del frozen  # before the next is loaded
        if on_page:  # written after each: the next may fail
            folders = [other.folder for other in planned[:number]]
            page = comparison(folders, given.out or Path("results") / "comparison" if several else folders[0])
    data = planned[0].jobs[0].data if suite is not None else ""
    _show(given, found, [each.folder for each in planned], suite, data, page)


def _say_what_is_read(model: str, frozen: FrozenModel, size: int | None, suite: Suite | None) -> None:
    """Say what one may not expect: a large size of a model's own, and features that an adapted run did not train.

    size: that was asked for.
    """
    config = frozen.config
    if size is None and config is None and frozen.size > LARGE and not is_baseline(model):
        say(
            f"{model}: images are read at {frozen.size} x {frozen.size} pixels, the model's own size; --size N takes "
            "fewer, which is faster"
        )
    if suite is not None and config is not None and config.encoder.train == HEAD:
        say(
            f"{model}: suite {suite.name} scores the encoder's own features, which were not trained (encoder.train "
            "head); the scores of z_equi and of joined are in adapt.html of its run"
        )


def _show(
    given: Arguments,
    scores: Sequence[dict[str, Any]],
    folders: Sequence[Path],
    suite: Suite | None,
    data: str,
    page: Path | None,
) -> None:
    """Print the table of what was scored, where its page lies, and what to do next. data: which a suite is shown on."""
    from rich.console import Console

    from equicoherence.reporting.short_table import print_short

    console = Console()
    if suite is not None:
        from equicoherence.reporting.comparison.evaluated import Evaluated
        from equicoherence.reporting.suite_table import suite_groups, suite_tables, write_suite

        count, groups = len(given.models), suite_groups(suite, list(map(Evaluated, folders, scores)), data=data)
        table = write_suite(suite, groups, (given.out or Path("results") / suite.name) if count > 1 else folders[0])
        for some in (folders[:count], folders[count:]):  # the models, then baselines beside them
            shown = [each for each in groups if each.members[0].folder in some]
            for part in suite_tables(suite, shown) if shown else ():
                console.print(part)
        console.print(f"suite: {table}", highlight=False, soft_wrap=True)
    else:
        print_short(by_name(scores, folders), console, on_page=page is not None)
    if page:
        console.print(f"page: {page}", highlight=False, soft_wrap=True)
    console.print(next_command(given, folders), highlight=False, markup=False, soft_wrap=True)


def next_command(given: Arguments, folders: Sequence[Path]) -> str:
    """Return the next command: a page of the scores, or `adapt` for a single pretrained encoder that is not a run."""
    first = given.models[0]
    pretrained = not (Path(first).is_dir() or is_baseline(first) or given.random_weights)
    if len(given.models) == 1 and given.data and pretrained:
        return f"next: equicoherence adapt {shlex.quote(first)} --data {shlex.quote(given.data)}"
    return f"next: equicoherence report {shlex.join(map(str, folders))}"


def by_name(scores: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> dict[str, list[Mapping[str, Any]]]:
    """Return scores by the name of what was scored: seeds of one configuration together, others of its name apart."""
    kinds = [(each["name"], each["config"]) for each in scores]
    readable = encoder_names((each["name"], each["arch"]) for each in scores)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each, (name, config), folder in zip(scores, kinds, folder_names(folders)):
        others = [other for known, other in kinds if known == name]
        seeds = len(others) == 1 or (config is not None and set(others) == {config})
        found.setdefault(readable[name, each["arch"]] if seeds else folder, []).append(each)
    return found
