"""The engine: an encoder x jobs -> scores, each stored when it is done, and continued where they stopped."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from equicoherence.data import ImageSource, Loader
from equicoherence.data.pixel_format import PICTURE
from equicoherence.devices import Device, chosen_device
from equicoherence.errors import refusing
from equicoherence.evaluation.fingerprint import build_digest, config_digest, fingerprint, short_digest
from equicoherence.evaluation.fit import precision_of
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept, random_control
from equicoherence.evaluation.jobs import Job, refuse_inside
from equicoherence.evaluation.picture import shown_in, write_pictures
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.registry import reads_data
from equicoherence.evaluation.store import Store
from equicoherence.evaluation.task import POSES, Track, main_rows, show_bar
from equicoherence.files import alone
from equicoherence.notice import say, say_if_slow
from equicoherence.training.config import PretrainConfig

LOADERS = "loaders"  # in a model's memo


@dataclass(frozen=True)
class Scoring:
    """How models are scored.

    controls: also score the same architecture with random weights, the floor.
    tolerance: largest share of images that cannot be decoded; by default the run's own, else that of pretraining.
    track: shows the progress of a task.
    device: name of the device (`chosen_device`); auto leaves a module in memory on its device if there is no GPU.
    """

    controls: bool = True
    tolerance: float | None = None
    track: Track = show_bar
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Refuse a share that is none, and a device that is not there."""
        chosen_device(self.device)
        if self.tolerance is not None and not 0 <= self.tolerance <= 1:
            raise ValueError(f"bad_image_tolerance must be a share from 0 to 1, got {self.tolerance}")


def score_jobs(
    frozen: FrozenModel, jobs: Sequence[Job], out: Path | None, scoring: Scoring, *, random_weights: bool = False
) -> dict[str, Any]:
    """Score an encoder on jobs of `plan_jobs` as `evaluate` does; write the file and return its content.

    out: None to write nothing.
    random_weights: whether the encoder's own are a bare initialisation, which is said beside its name.
    """
    arch, build, said = frozen.encoder.architecture, build_digest(frozen), " (random weights)" if random_weights else ""
    about = {
        "model": frozen.name,
        "name": f"{frozen.group}{said}",
        "seed": frozen.config.seed if frozen.config else 0,
        "config": config_digest(frozen.config),
        "weights": fingerprint(frozen),
        "size": frozen.size,
        "layer": frozen.encoder.ends_at,
        "arch": arch,
        "build": build,
        "random_weights": random_weights,
        "has_random_control": frozen.has_random_control,
    }
    with refusing():
        if out is not None:
            refuse_inside(out, jobs)
        for job in jobs:
            for split, side in ((job.train, job.data), (job.test, f"the held-out side of {job.data}")):
                held = split.format if isinstance(split, ImageSource) else PICTURE  # data sets are of pictures
                held.check(frozen.encoder.channels, side, frozen.name)
    with generators_kept(), alone(out, "evaluates into") if out is not None else contextlib.nullcontext():
        with refusing():
            store = Store(out, about)
        try:
            _score_all(frozen, jobs, store, scoring)
        finally:
            frozen.memo.clear()  # of what was read of these data
        return store.finish(_provenance(frozen, jobs))


def _score_all(frozen: FrozenModel, jobs: Sequence[Job], store: Store, scoring: Scoring) -> None:
    planned = [(job, job.settings()) for job in jobs]
    variants = _variants(frozen, scoring)
    work = [(*variant, *each) for variant in variants.items() for each in planned]
    reading: FrozenModel | None = None
    loaders: tuple[object, Any] | None = None  # of the encoder before, whose images are those of its random weights
    for number, (control, build, job, settings) in enumerate(work):
        name = f"{control} {job.name}".strip()
        part, kept = store.kept(name, settings), ""
        if part is not None:
            kept = ", kept"
        else:
            try:
                reading = build()
                if loaders is not None:
                    reading.memo.setdefault(LOADERS, loaders)
                    loaders = None
                with say_if_slow(f"scoring {name} ({number + 1} of {len(work)})"):
                    scored = score_job(reading, job, control, settings, store.folder, scoring)
                part = store.put(name, scored, _provenance(reading, jobs))
            except KeyboardInterrupt:
                where = f" in {store.folder}; the same command goes on from there" if store.folder else ""
                say(f"{number} of {len(work)} scores of {frozen.name} are kept{where}")
                raise
        say(f"[{number + 1}/{len(work)}] {frozen.name}, {name}: {_main_score_line(part)}{kept}")
        following = work[number + 1] if number + 1 < len(work) else None
        if reading and (following is None or (following[0], following[2].task.kind) != (control, job.task.kind)):
            loaders = reading.memo.get(LOADERS)
            reading.memo.clear()  # features that no task reads any more


def _variants(frozen: FrozenModel, scoring: Scoring) -> dict[str, Callable[[], FrozenModel]]:
    """Return the encoder and, where there is one, the same architecture with random weights, built when it is needed,
    by what its scores are called before the task's name."""
    controls, device = scoring.controls, chosen_device(scoring.device)
    if scoring.device == "auto" and device.type == "cpu":
        device = frozen.encoder.mean.device

    @functools.cache
    def control() -> FrozenModel:
        return random_control(frozen, frozen.config.seed if frozen.config else 0).to(device)

    if controls and not frozen.has_random_control:
        without = not any(True for _ in frozen.encoder.parameters())
        why = "it has no weights" if without else "a layer of it does not say how to draw them"
        say(f"{frozen.name}: random weights are not scored, because {why}")
    controls = controls and frozen.has_random_control
    return {"": lambda: frozen.to(device)} | ({"random": control} if controls else {})


def score_job(
    model: FrozenModel, job: Job, control: str, settings: dict[str, Any], folder: Path | None, scoring: Scoring
) -> dict[str, Any]:
    """Return the scores of one job with what they are of; write its pictures."""
    start, train, test = time.perf_counter(), job.train, job.test
    if reads_data(job.task):
        assert isinstance(train, ImageSource)
        assert isinstance(test, ImageSource)
        key = (LOADERS, job.task.kind, train, test)
        train, test = model.remember(key, lambda: _loaders(model, job, scoring))
    task = job.task.of_control() if control else job.task
    found = task.score(model, train, test, scoring.track)
    shown = {}
    if folder is not None and found.pictures:
        words = [job.task.name, job.data]
        shown = write_pictures(found.pictures, folder, control, "-".join([*words, short_digest([*words, settings])]))
    return {
        "task": job.task.name,
        "variant": job.task.variant,
        "protocol": job.task.protocol,
        "data": job.data,
        "control": control,
        "settings": settings,
        "counts": found.counts,
        "input": found.input,
        "metrics": job.task.metrics,
        "probe_order": job.task.probe_order,
        "rows": [asdict(row) for row in found.rows],
        "caption": job.task.caption,
        "shown": shown,
        "seconds": round(time.perf_counter() - start, 1),
        **_provenance(model, [job]),
    }


def _provenance(model: FrozenModel, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return date, machine and versions, with each precision in which the encoder computes in these jobs."""
    precisions = (precision_of(model.encoder.mean.device, tuned=job.task.trains_encoder) for job in jobs)
    return provenance(" / ".join(sorted(set(precisions))))


def _loaders(model: FrozenModel, job: Job, scoring: Scoring) -> list[Loader]:
    """Return loaders of both splits; renders are decoded once each, at the encoder's own size, and none is kept."""
    config = model.config or PretrainConfig()
    tolerance = config.bad_image_tolerance if scoring.tolerance is None else scoring.tolerance
    given: dict[str, Any] = {"threads": config.threads or None, "tolerance": tolerance}
    size = model.source
    if job.task.kind == POSES:
        size, given = model.size, {**given, "cache_bytes": 0}
    return [Loader(source, size, **given) for source in (job.train, job.test)]  # type: ignore[arg-type]


def _main_score_line(part: Mapping[str, Any]) -> str:
    """Return the first main figure of a part in a few words: of the encoder's features, and of an adapted encoder also
    of them with z_equi."""
    rows = main_rows(part)
    if not rows:
        return f"{len(shown_in(part))} pictures, {part['seconds']:.0f} s"
    first, alike = rows[0], ("target", "border", "metric")
    floor = "" if first["floor"] is None else f" (constant {first['floor']:.3f})"
    joined = [
        f", with z_equi {row['value']:.3f}"
        for row in rows
        if row["representation"] == "joined" and all(row[field] == first[field] for field in alike)
    ]
    return f"{first['metric']} {first['value']:.3f}{floor}{''.join(joined)}, {part['seconds']:.0f} s"
