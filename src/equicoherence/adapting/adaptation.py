"""`adapt`: train a pretrained encoder further, evaluate it before and after, and compare."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equicoherence.adapting.asked import Asked, default_out
from equicoherence.adapting.plan import CLASSES, Plan, plan_adaptation
from equicoherence.adapting.start_config import start_config
from equicoherence.data import ImageSource, described_once, open_images
from equicoherence.devices import chosen_device
from equicoherence.errors import refusing
from equicoherence.evaluation.frozen_model import generators_kept
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.notice import say
from equicoherence.processes import is_first_process
from equicoherence.reporting.adaptation.adaptation import ADAPTED, ORIGINAL, SCORED, Adaptation, read_adaptation
from equicoherence.reporting.adaptation.figures import FigureRow
from equicoherence.reporting.adaptation.page import PAGE, write_adaptation
from equicoherence.reporting.explorer.rotated_file import keep_rotated
from equicoherence.training import PretrainConfig, load_config, pretrain
from equicoherence.training.callbacks import Callback, Moment
from equicoherence.training.interrupt import Interrupted
from equicoherence.training.new_run import config_to_resume
from equicoherence.training.resume_command import resume_command
from equicoherence.training.run import check_run, is_finished
from equicoherence.training.start import Start


@dataclass(frozen=True)
class Adapted:
    """The result of an adaptation.

    run: the run directory, for `export`, `evaluate` and all other commands.
    page: a page with the table, a chart and the origin of the numbers.
    rows: of the table.
    """

    run: Path
    page: Path
    rows: Sequence[FigureRow]


def adapt(
    model: str | Path | None = None,
    *,
    data: str | Path | None = None,
    out: Path | None = None,
    recipe: str | PretrainConfig = "adapt-tiny",
    check: str | Path | None = None,
    resume: bool = False,
    max_steps: int | None = None,
    images: int | None = None,
    limit: int | None = None,
) -> Adapted:
    """Adapt an encoder to transformations, evaluate it before and after, print the table and write its page.

    model: any MODEL of `evaluate`: a run directory, timm:NAME, FILE@ARCH, or what `export` wrote. None with ``resume``.
    data: training images; class labels are used only for evaluation. None with ``resume``.
    out: run directory; by default ``runs/RECIPE-MODEL``.
    recipe: its name, and then views get a size that fits the model (`view_size`); or a configuration, which is used
        unchanged.
    check: labelled images that are not used for training, to check whether classes are kept.
    resume: continue an interrupted training or evaluation; a finished one is shown again.
    max_steps: of training, in place of the recipe's.
    images: training images of the probes, 2,000 by default; two fifths as many are test images.
    limit: labelled images of each split for k-NN and the linear probe, 5,000 by default.

    Raises ValueError, FileNotFoundError or FileExistsError before training for what cannot be adapted or evaluated;
    `Interrupted` after Ctrl-C, with the command that continues.
    """
    start = None
    with refusing():
        given = {"check": None if check is None else str(check), "images": images, "limit": limit}
        if resume and model is None:
            if out is None:
                raise ValueError("adapt --resume: say with --out which run to continue")
            config = resumed_config(Path(out))
        elif model is None or data is None:
            raise ValueError("adapt needs an encoder and images: adapt MODEL --data DIR")
        elif isinstance(recipe, PretrainConfig):
            config = dataclasses.replace(recipe, encoder=recipe.encoder.starting_from(str(model)))
        else:
            config, start = start_config(recipe, str(model))
        if data is not None:
            config = dataclasses.replace(config, data=str(data))
        if max_steps is not None:
            config = dataclasses.replace(config, max_steps=max_steps)
    return adapt_with(config, out, resume=resume, start=start, **given)


@described_once()
def adapt_with(
    config: PretrainConfig,
    out: Path | None = None,
    *,
    resume: bool = False,
    check: str | None = None,
    images: int | None = None,
    limit: int | None = None,
    start: Start | None = None,
    opened: ImageSource | None = None,
) -> Adapted:
    """Do what `adapt` does with a configuration that says all of the training.

    start: the encoder of `start_config`, where that gave ``config``.
    opened: the images of ``config`` that `opened_images` opened, with ``check``.
    """
    with refusing():
        chosen_device(config.device)
        out = default_out(config.name, config.encoder.weights) if out is None else Path(out)
        before = Asked.of_run(out) if resume else None
        asked = (before or Asked()).changed(check=check, images=images, limit=limit)
        if asked == before and (out / PAGE).is_file() and config == load_config(out / "config.yaml"):
            return _shown(out, read_adaptation(out))
        if not resume and is_first_process():
            check_run(config, out, resume=False)
        plan = plan_adaptation(config, asked, out, int(os.environ.get("WORLD_SIZE", "1")), start, opened)
        if resume:
            check_run(plan.config, out, resume=True)
    _train(plan, out, asked, resume)
    if not is_first_process():
        return Adapted(out, out / PAGE, ())
    _score(plan, out)
    return _shown(out, write_adaptation(out), plan.images)


def resumed_config(run: Path) -> PretrainConfig:
    """Return the configuration of a run to continue. Raises FileNotFoundError if it is not a run of `adapt`."""
    Asked.of_run(run)
    return load_config(config_to_resume(run))


class _Begun(Callback):
    """Write the options and print the plan once the run has begun, which is after all that can refuse it.

    A folder that held the options alone would be none to resume.
    """

    def __init__(self, plan: Plan, asked: Asked) -> None:
        self.plan, self.asked = plan, asked

    def on_start(self, moment: Moment) -> None:
        """Write and print them."""
        if moment.is_main:
            self.asked.write(moment.out)
            _say_plan(self.plan)


def _train(plan: Plan, out: Path, asked: Asked, resume: bool) -> None:
    """Begin the run, resume it, or leave it as it is where it is finished."""
    if is_first_process():
        (out / PAGE).unlink(missing_ok=True)
    if not is_finished(out):
        pretrain(plan.config, out, resume=resume, start=plan.original.encoder, callbacks=[_Begun(plan, asked)])
    elif is_first_process():
        asked.write(out)
        _say_plan(plan)


def _score(plan: Plan, out: Path) -> None:
    """Score before and after; what is scored already is kept."""
    try:
        with generators_kept():
            adapted = load_model(out)
        for name, of_original, jobs in plan.work:
            scoring = Scoring(controls=False, tolerance=plan.config.bad_image_tolerance, device=plan.config.device)
            model, folder = plan.original if of_original else adapted, out / SCORED / name
            score_jobs(model, jobs, folder, scoring)
            if name in (ORIGINAL, ADAPTED):
                keep_rotated(model, jobs[0], folder, scoring.tolerance, scoring.device)
    except KeyboardInterrupt as stop:
        raise Interrupted(f"stopped while scoring; go on with: {resume_command(out)}") from stop


def _say_plan(plan: Plan) -> None:
    views, jobs = plan.config.views, (*plan.after, *plan.check)
    seen = dict.fromkeys(job.data for job in jobs)
    task = plan.config.coherence
    layers = f"; z_equi is read from layers {', '.join(map(str, task.layers))}" if task and task.layers else ""
    say(
        f"adapts {plan.original.name} by {plan.config.name}: views of {views.size} px of images read at "
        f"{views.source} px{layers}; scored before and after on {' and '.join(seen)}, at the same size"
    )
    if not any(job.task.name in CLASSES for job in jobs):
        say(
            "without class labels there is no k-NN and no linear accuracy, so whether the encoder still recognises "
            "classes will not be known; to know it, give labelled images with --check DIR"
        )


def _shown(out: Path, found: Adaptation, images: ImageSource | None = None) -> Adapted:
    """Print the table of a run; return what it left. images: see `next_command`."""
    from rich.console import Console

    console = Console()
    console.print(found.grid().rich())
    for line in (*found.caption(), f"page: {out / PAGE}", next_command(out, images)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return Adapted(out, out / PAGE, found.rows)


def next_command(run: Path, images: ImageSource | None = None) -> str:
    """Return the line that advises the next command: the features of the run's images, held-out ones where the images
    come split, of an adapted encoder.

    images: of training, where they are open already.
    """
    data, split = load_config(run / "config.yaml").data, ""
    try:
        images = open_images(data, "train") if images is None else images
        if images.origin.comes_split:
            split = " --split val"
    except (FileNotFoundError, ValueError):  # the images are no longer there
        data = "DIR"
    words = f"{shlex.quote(str(run))} --data {shlex.quote(data)}{split}"
    return f"next: equicoherence embed {words} --features joined --out features.npz"
