"""Collect the paths to show: rendered now if weights and images are there, else as the run saved them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from equicoherence.devices import chosen_device
from equicoherence.reporting.explorer.kept import kept_scenes
from equicoherence.reporting.explorer.scene import PathScene
from equicoherence.reporting.explorer.study import TurnedImages
from equicoherence.reporting.explorer.tried import tried
from equicoherence.reporting.runs import Run

if TYPE_CHECKING:
    from equicoherence.data import ImageSource
    from equicoherence.data.source import Split
    from equicoherence.training.config import PretrainConfig
    from equicoherence.training.learner import Learner

    Loaded = tuple[Run, PretrainConfig, Learner]


@dataclass
class Gathered:
    """scenes: of paths. turns: rotated images. remarks: on runs that decode nothing. notes: on missing parts."""

    scenes: list[PathScene] = field(default_factory=list)
    turns: list[TurnedImages] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather(groups: Mapping[str, Sequence[Run]]) -> Gathered:
    """Return the scenes of the first run of each name."""
    found = Gathered()
    kept: list[Run] = []
    held: dict[tuple[object, ...], list[Loaded]] = {}
    fed: dict[tuple[object, ...], list[Loaded]] = {}
    for runs in groups.values():
        loaded, reason = tried(lambda run=runs[0]: _load(run))
        found.notes += _unread(runs[0], loaded is not None)
        if loaded is None:
            kept.append(runs[0])
            found.notes += _said([runs[0]], reason)
            continue
        config, learner = loaded
        fed.setdefault((config.data, config.views.size, config.views.source), []).append((runs[0], config, learner))
        from equicoherence.reporting.explorer.drawn import alike, can_draw

        if can_draw(config):
            held.setdefault(alike(config), []).append((runs[0], config, learner))
        elif config.coherence is None or not any(config.coherence.positions_of().values()):
            why = "was trained without the task" if config.coherence is None else "has no decoder of states"
            found.remarks.append(f"{runs[0].name} {why}, so it decodes nothing.")
        else:
            kept.append(runs[0])
    images = _opener()
    for members in held.values():
        scene, reason = tried(lambda members=members: _draw(members, images))
        if scene is None:
            kept += [run for run, _, _ in members]
            found.notes += _said([run for run, _, _ in members], reason)
        else:
            found.scenes.append(scene)
    found.scenes += kept_scenes(kept)
    for members in fed.values():
        study, reason = tried(lambda members=members: _turn(members, images))
        if study is not None:
            found.turns.append(study)
        else:
            names = ", ".join(run.name for run, _, _ in members)
            found.notes.append(f"{names}: rotated images cannot be shown: {reason}")
    return found


def _load(run: Run) -> tuple[PretrainConfig, Learner]:
    from equicoherence.training.run import load_run

    return load_run(run.path)


def _opener() -> Callable[[str, Split], ImageSource]:
    """Return what opens images, each side of a data set once: to list a large one takes a minute."""

    @cache
    def opened(data: str, split: Split) -> ImageSource:
        from equicoherence.data import open_images

        return open_images(data, split)

    return opened


def _draw(members: Sequence[Loaded], images: Callable[[str, Split], ImageSource]) -> PathScene:
    from equicoherence.reporting.explorer.drawn import drawn_scene

    opened = images(members[0][1].data, "train")
    return drawn_scene([(run.name, config, learner) for run, config, learner in members], opened)


def _turn(members: Sequence[Loaded], images: Callable[[str, Split], ImageSource]) -> TurnedImages:
    from equicoherence.evaluation.model import of_run
    from equicoherence.reporting.explorer.turned import turned

    device, config = chosen_device(), members[0][1]
    models = {run.name: of_run(run.path, own, learner).to(device) for run, own, learner in members}
    return turned(models, images(config.data, "val"), config.data, config.bad_image_tolerance)


def _said(runs: Sequence[Run], reason: str) -> list[str]:
    """Return why the saved states of runs are shown, for runs that saved any."""
    return [
        f"{run.name}: these states were saved at the end of training; they cannot be rendered now: {reason}"
        for run in runs
        if "samples.npz" not in run.problems
    ]


def _unread(run: Run, drawn: bool) -> list[str]:
    """Return what is wrong with the file of a run's samples; that there is none matters where nothing is drawn."""
    problem = run.problems.get("samples.npz", "")
    told = problem and not (drawn and problem.startswith("missing"))
    return [f"No saved pictures of {run.name}: samples.npz is {problem}."] if told else []
