"""What an adaptation will do, settled before it begins: here is refused what `pretrain` does not check at its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.adapting.asked import Asked
from equicoherence.data import ImageSource, left_to_train, open_images
from equicoherence.evaluation.classification.task import unlabelled
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.jobs import Job, plan_jobs, refuse_inside
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.suites import ADAPT
from equicoherence.models.train_setting import HEAD
from equicoherence.reporting.adaptation.adaptation import ADAPTED, CHECK, ORIGINAL
from equicoherence.training.batch import check_batch
from equicoherence.training.config import PretrainConfig
from equicoherence.training.new_run import checkpoints
from equicoherence.training.resume_command import resume_command
from equicoherence.training.run import is_finished
from equicoherence.training.start import Start, start_of_run, started

FEWEST = 20  # images to train on: fewer say nothing of the others
CLASSES = ("knn", "linear")
OF_LAYERS = ("transformation", "knn")  # tasks that the task over the layers scores at the output, too


@dataclass(frozen=True)
class Plan:
    """An adaptation before it begins.

    config: as training takes it, with all that describes the encoder.
    images: of training.
    original: the encoder as it starts, at the size of the views.
    before, after: jobs on the given images, of the original and of the adapted encoder.
    check: of both, on the images that it is not adapted on.
    """

    config: PretrainConfig
    images: ImageSource
    original: FrozenModel
    before: Sequence[Job]
    after: Sequence[Job]
    check: Sequence[Job]

    @property
    def work(self) -> list[tuple[str, bool, Sequence[Job]]]:
        """Return what is scored: the folder's name, whether it is of the original, and the jobs."""
        every = [
            (ORIGINAL, True, self.before),
            (ADAPTED, False, self.after),
            (f"{ORIGINAL}{CHECK}", True, self.check),
            (f"{ADAPTED}{CHECK}", False, self.check),
        ]
        return [each for each in every if each[2]]


def plan_adaptation(
    config: PretrainConfig,
    asked: Asked,
    out: Path,
    world: int = 1,
    start: Start | None = None,
    opened: ImageSource | None = None,
) -> Plan:
    """Return the plan of an adaptation into the run directory ``out``; nothing is written.

    world: processes that train together.
    start: the encoder to start from, where it is read already.
    opened: what `opened_images` returned, where the images are open already.

    Raises FileNotFoundError or ValueError, in one sentence, for a model that there is not or that does not fit, for
    images that are too few or cannot be opened, and for images to check by that have no classes.
    """
    if not config.encoder.weights:
        raise ValueError("adapt needs an encoder to start from: MODEL, as `equicoherence evaluate` takes it")
    if opened is None:
        images = opened_images(config, asked.check, world)
    else:
        check_batch(config, opened, world)
        images = opened
    settings = scored_settings(asked, config)
    own = _jobs(settings, config.data, images)
    classes = {name: settings[name] for name in CLASSES}
    check = [] if asked.check is None else plan_jobs(make_tasks(CLASSES, settings=classes), asked.check, None)
    for job in (*own, *check):
        refuse_inside(out, [job])
    try:
        config, encoder = started(config, start)
    except FileNotFoundError as error:
        if not (is_finished(out) or checkpoints(out)):
            raise
        if config.encoder.train != HEAD:  # the run holds no encoder as it was
            raise FileNotFoundError(
                f"{error}; the original is scored, too: put it back, or say where it is now: "
                f"{resume_command(out, '--encoder.weights MODEL')}"
            ) from error
        encoder = start_of_run(config, out)
    name, views = config.encoder.weights, config.views
    original = FrozenModel(name, name, encoder.eval(), views.size, views.source, pool=encoder.pool)
    after = [job for job in own if job.task.name != Layers.name]
    before = _before(own) if any(not job.task.unfit(original) for job in own if job.task.name == Layers.name) else after
    return Plan(config, images, original, before, after, check)


def opened_images(config: PretrainConfig, check: str | None, world: int = 1) -> ImageSource:
    """Return the images to train on; no encoder is needed. Raises as `plan_adaptation` for images.

    check: those that classes are checked by, if any.
    """
    images = open_images(config.data, "train")
    if len(images) < FEWEST:
        raise ValueError(
            f"{config.data!r} {left_to_train(images)}, which is too few to adapt an encoder to: give at least {FEWEST} "
            "to train on with --data"
        )
    if check is not None and (missing := unlabelled(open_images(check, "train"), open_images(check, "val"))):
        raise ValueError(f"--check {check}: whether classes are kept {missing}; give such images, or leave --check out")
    check_batch(config, images, world)
    return images


def _before(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs of an original with layers: its output is read with them, and not once more."""
    return [job for job in jobs if job.task.name not in OF_LAYERS]


def scored_settings(asked: Asked, config: PretrainConfig) -> dict[str, dict[str, Any]]:
    """Return the settings of suite `ADAPT`, for as many images as are asked for; of the layers, those that z_equi is
    computed from are evaluated too, so that the best layer is never worse than one of them."""
    numbers = {"train": asked.images, "test": asked.tested, "limit": asked.limit}
    settings: dict[str, dict[str, Any]] = {
        task: {name: numbers.get(name, value) for name, value in own.items()} for task, own in ADAPT.settings.items()
    }
    settings[Layers.name]["also"] = config.coherence.layers if config.coherence else ()
    return settings


def _jobs(settings: dict[str, dict[str, Any]], data: str, train: ImageSource) -> list[Job]:
    """Return all tasks of the suite that the images allow: without labels, none of classes. train: of the images."""
    labelled = not unlabelled(train, open_images(data, "val"))
    names = [name for name in settings if labelled or name not in CLASSES]
    return plan_jobs(make_tasks(names, settings={name: settings[name] for name in names}), data, None)
