"""Adaptations kept beside their page, as small run directories: all that the page and its charts are made from.

ENCODER/WAY/ holds config.yaml, adapt.yaml, metrics.jsonl, and the scores of the original and of the adapted encoder as
`equicoherence adapt` lays them out; no path of a machine is in them.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapt_ways import from_kept, ways_of_adapting
from kept import has_scores, tasks_of
from published import keep_scores, slug

from equicoherence.adapting.asked import Asked
from equicoherence.adapting.plan import CLASSES, OF_LAYERS, scored_settings
from equicoherence.evaluation.fingerprint import config_digest
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import ADAPT
from equicoherence.files import write_aside
from equicoherence.json_file import read_json_lines
from equicoherence.notice import say
from equicoherence.reporting.adaptation.adaptation import ADAPTED, CHECK, ORIGINAL, SCORED, Adaptation, read_adaptation
from equicoherence.reporting.names import shared_names
from equicoherence.training import PretrainConfig, load_config
from equicoherence.training.config_file import save_config

CONFIG, METRICS = "config.yaml", "metrics.jsonl"
METRIC_FIELDS = ("step", "seconds", "images_per_second", "stopped", "held_out_knn", "held_out_rotation")
"""The fields of metrics.jsonl that the page and its charts read."""


@dataclass(frozen=True)
class Experiment:
    """What would be trained and scored today.

    encoder: its name in folders.
    ways: configurations by the name of the way of adapting.
    options: of scoring.
    """

    encoder: str
    ways: Mapping[str, PretrainConfig]
    options: Asked


def keep(run: Path, name: str, encoder: Path) -> None:
    """Keep a way of adapting that is scored, in place of what is kept of it. encoder: folder of its encoder's ways."""
    place = encoder / slug(name)
    aside, earlier = (encoder / f".{kind}-{place.name}" for kind in ("new", "old"))
    for left in (aside, earlier):
        shutil.rmtree(left, ignore_errors=True)
    config, options = load_config(run / CONFIG), Asked.of_run(run)
    for kind in ("", CHECK) if options.check else ("",):
        for which, called in ((ORIGINAL, ORIGINAL), (ADAPTED, name)):
            scores = read_scores(run / SCORED / f"{which}{kind}" / FILE)
            keep_scores(ADAPT, scores, aside / SCORED / f"{which}{kind}", called)
    metrics = read_json_lines(run / METRICS, "")
    lines = ({field: line[field] for field in METRIC_FIELDS if field in line} for line in metrics)
    write_aside(aside / METRICS, "".join(f"{json.dumps(line)}\n" for line in lines if set(line) - {"step"}))
    _without_folder(options).write(aside)
    save_config(_without_paths(config), aside / CONFIG)
    if place.exists():
        place.rename(earlier)
    aside.rename(place)
    shutil.rmtree(earlier, ignore_errors=True)


def _without_paths(config: PretrainConfig) -> PretrainConfig:
    """Return a configuration that names the encoder and the images as another machine can."""
    weights = config.encoder.weights
    called = (str(Path(weights).resolve()) if Path(weights).exists() else weights, config.encoder.name)
    encoder = dataclasses.replace(config.encoder, weights=shared_names([called])[called])
    return dataclasses.replace(config, encoder=encoder, data=Path(config.data).name)


def read_kept(store: Path, experiment: Experiment | None = None) -> dict[str, dict[str, Adaptation]]:
    """Return the adaptations that are kept, by encoder and way; a line names those that are not as of today.

    experiment: of one encoder. Of the others, the images, the steps and the options of scoring are their own.

    Raises FileNotFoundError where there are none.
    """
    folders = sorted(path for path in store.glob("*/") if path.is_dir())
    found = {folder.name: ways for folder in folders if (ways := _of_encoder(folder, experiment))}
    if not found:
        raise FileNotFoundError(f"{str(store)!r} holds no scores of today's configurations: there is nothing to show")
    return found


def _of_encoder(encoder: Path, experiment: Experiment | None) -> dict[str, Adaptation]:
    found: dict[int, tuple[str, Adaptation]] = {}
    for place in (file.parent for file in sorted(encoder.glob(f"[!.]*/{CONFIG}"))):
        wanted = experiment
        if wanted is None or wanted.encoder != encoder.name:
            ways = ways_of_adapting(from_kept(load_config(place / CONFIG)))
            wanted = Experiment(encoder.name, ways, Asked.of_run(place))
        slugs = [slug(name) for name in wanted.ways]
        if place.name not in slugs:
            say(f"{encoder.name}/{place.name} is left out: there is no such way of adapting today")
            continue
        number = slugs.index(place.name)
        name = [*wanted.ways][number]
        if why := outdated(place, name, wanted):
            say(f"{encoder.name}/{place.name} is left out: {why}")
        else:
            found[number] = (name, read_adaptation(place))
    return dict(found[number] for number in sorted(found))


def is_kept(store: Path, name: str, experiment: Experiment) -> bool:
    """Return whether a way of adapting today's encoder is kept as it would be scored today."""
    place = store / experiment.encoder / slug(name)
    return (place / CONFIG).is_file() and not outdated(place, name, experiment)


def refuse_other_encoder(store: Path, experiment: Experiment) -> None:
    """Raise ValueError where ways of adapting another encoder are kept by the same name."""
    fingerprint = next(iter(experiment.ways.values())).encoder.fingerprint
    for file in (store / experiment.encoder).glob(f"[!.]*/{CONFIG}"):
        if (other := load_config(file).encoder.fingerprint) != fingerprint:
            raise ValueError(
                f"{str(file.parent)!r} is of an encoder with the fingerprint {other!r}, this one has {fingerprint!r}, "
                f"and both are called {experiment.encoder!r}: remove {str(file.parents[1])!r} to keep this one instead"
            )


def outdated(place: Path, name: str, experiment: Experiment) -> str:
    """Return why a way of adapting is not as it would be trained and scored today, "" if it is.

    place: a run, or what is kept of one.
    """
    config, options = load_config(place / CONFIG), _without_folder(Asked.of_run(place))
    now, wanted = experiment.ways[name], _without_folder(experiment.options)
    if (config_digest(config), config.seed) != (config_digest(now), now.seed):
        return "its scores are of another configuration than that of today"
    if options != wanted:
        of, named = (
            ", ".join(f"{key} {value}" for key, value in dataclasses.asdict(each).items()) for each in (options, wanted)
        )
        return f"it was scored with {of}, not with {named}"
    if not _is_whole(place / SCORED, options, config):
        return "its scores, or those of its original, are of other tasks than those of today"
    return ""


def _is_whole(scored: Path, options: Asked, config: PretrainConfig) -> bool:
    """Return whether there are scores of all tasks of today, as `plan_adaptation` distributes them over the folders.

    Tasks that need classes are left out where none is scored: then the images have no classes.
    """
    scores = {which: read_scores(scored / which / FILE) for which in (ORIGINAL, ADAPTED)}
    settings, tasks = scored_settings(options, config), {which: tasks_of(scores[which]) for which in scores}
    classes = any(tasks[which] & {*CLASSES} for which in scores)
    every = [task for task in settings if classes or task not in CLASSES]
    adapted = [task for task in every if task != Layers.name]
    original = [task for task in every if task not in OF_LAYERS] if Layers.name in tasks[ORIGINAL] else adapted
    wanted = {ORIGINAL: original, ADAPTED: adapted}
    if options.check:
        for which in (ORIGINAL, ADAPTED):
            scores[f"{which}{CHECK}"] = read_scores(scored / f"{which}{CHECK}" / FILE)
            wanted[f"{which}{CHECK}"] = [*CLASSES]
    return all(has_scores(scores[which], {task: settings[task] for task in wanted[which]}) for which in wanted)


def _without_folder(options: Asked) -> Asked:
    """Return the options with the name alone of the images to check by."""
    return options if options.check is None else dataclasses.replace(options, check=Path(options.check).name)
