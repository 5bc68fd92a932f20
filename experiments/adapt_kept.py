"""Adaptations kept beside their page, as small run directories: all that the page and its charts are made from.

ENCODER/WAY/ holds config.yaml, adapt.yaml, metrics.jsonl and adapt/adapted/scores.json; no path of a machine is in
them. The scores of the original lie in ENCODER/original-LAYERS/, once for all ways that read z_equi from these layers.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapt_ways import arms, from_kept
from kept import has_scores
from published import keep_scores, slug

from equicoherence.adapting.asked import Asked
from equicoherence.adapting.plan import scored_settings
from equicoherence.evaluation.fingerprint import config_digest
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
READ = ("step", "seconds", "images_per_second", "stopped", "held_out_knn", "held_out_rotation")
"""The fields of metrics.jsonl that the page and its charts read."""


@dataclass(frozen=True)
class Today:
    """What would be trained and scored today. encoder: as folders call it. ways: by name. asked: what is scored."""

    encoder: str
    ways: Mapping[str, PretrainConfig]
    asked: Asked


def keep(run: Path, name: str, encoder: Path) -> None:
    """Keep a way of adapting that is scored, in place of what is kept of it. encoder: folder of its encoder's ways."""
    config, place = load_config(run / CONFIG), encoder / slug(name)
    shutil.rmtree(place, ignore_errors=True)
    folders = {ADAPTED: place / SCORED, ORIGINAL: original(encoder, config)}
    for kind in ("", CHECK):
        for which, folder in folders.items():
            shutil.rmtree(folder / f"{which}{kind}", ignore_errors=True)
            if scores := read_scores(run / SCORED / f"{which}{kind}" / FILE):
                keep_scores(ADAPT, scores, folder / f"{which}{kind}", which if which == ORIGINAL else name)
    lines = ({field: line[field] for field in READ if field in line} for line in read_json_lines(run / METRICS, ""))
    write_aside(place / METRICS, "".join(f"{json.dumps(line)}\n" for line in lines if set(line) - {"step"}))
    _without_folder(Asked.of_run(run)).write(place)
    weights = (config.encoder.weights, config.encoder.name)
    named = dataclasses.replace(config.encoder, weights=shared_names([weights])[weights])
    kept = dataclasses.replace(config, encoder=named, data=Path(config.data).name)
    save_config(kept, place / CONFIG)  # last: what has it is whole


def original(encoder: Path, config: PretrainConfig) -> Path:
    """Return where the scores of the original lie: those of its layers are of the layers that z_equi is read from."""
    layers = config.coherence.layers if config.coherence else ()
    return encoder / slug(f"{ORIGINAL} {' '.join(map(str, layers))}")


def read_kept(store: Path, today: Today) -> dict[str, dict[str, Adaptation]]:
    """Return the adaptations that are kept, by encoder and way; a line names those that are not as of today.

    Of encoders but today's, the images, the steps and what is scored are their own.

    Raises FileNotFoundError where there are none.
    """
    found: dict[str, dict[str, Adaptation]] = {}
    for encoder in sorted(path for path in store.glob("*/") if path.is_dir()):
        places = {file.parent.name: file.parent for file in sorted(encoder.glob(f"*/{CONFIG}"))}
        for name in today.ways:
            if (place := places.pop(slug(name), None)) is None:
                continue
            config, own = load_config(place / CONFIG), today
            if encoder.name != today.encoder:
                own = Today(encoder.name, arms(from_kept(config)), Asked.of_run(place))
            before = original(encoder, config)
            if why := outdated(place, before, name, own):
                say(f"{encoder.name}/{place.name} is left out: {why}")
            else:
                found.setdefault(encoder.name, {})[name] = read_adaptation(place, before)
        for other in places:
            say(f"{encoder.name}/{other} is left out: there is no such way of adapting today")
    if not found:
        raise FileNotFoundError(f"{str(store)!r} holds no scores of today's configurations: there is nothing to show")
    return found


def is_kept(store: Path, name: str, today: Today) -> bool:
    """Return whether a way of adapting today's encoder is kept as it would be scored today."""
    encoder, config = store / today.encoder, today.ways[name]
    place = encoder / slug(name)
    return (place / CONFIG).is_file() and not outdated(place, original(encoder, config), name, today)


def outdated(place: Path, before: Path, name: str, today: Today) -> str:
    """Return why a way of adapting is not as it would be trained and scored today, "" if it is.

    place: a run, or what is kept of one. before: the folder of the scores of its original.
    """
    config, asked, now = load_config(place / CONFIG), _without_folder(Asked.of_run(place)), today.ways[name]
    if (config_digest(config), config.seed) != (config_digest(now), now.seed):
        return "its scores are of another configuration than that of today"
    if asked != (wanted := _without_folder(today.asked)):
        of, named = ([f"{key} {value}" for key, value in dataclasses.asdict(each).items()] for each in (asked, wanted))
        return f"it was scored with {', '.join(of)}, not with {', '.join(named)}"
    settings = scored_settings(asked, config)
    for kind in ("", CHECK) if asked.check else ("",):
        for file in (before / f"{ORIGINAL}{kind}" / FILE, place / SCORED / f"{ADAPTED}{kind}" / FILE):
            scores = read_scores(file)
            tasks = {part["task"] for part in scores.get("parts", {}).values()}
            own = {task: values for task, values in settings.items() if task in tasks}
            if not own or not has_scores(scores, own):
                return "its scores, or those of its original, are of other tasks than those of today"
    return ""


def _without_folder(asked: Asked) -> Asked:
    """Return what was asked for with the name alone of the images to check by."""
    return asked if asked.check is None else dataclasses.replace(asked, check=Path(asked.check).name)
