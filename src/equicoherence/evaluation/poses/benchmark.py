"""3DIEBench on any encoder: what its features tell of pose, color and class, and retrieval of views."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.data import ThreeDIEBench
from equicoherence.data.poses.objects import MANIFEST
from equicoherence.errors import refusing
from equicoherence.evaluation.model import FrozenModel, generators_kept, load_model, random_control
from equicoherence.evaluation.own_predictor import OwnPredictor
from equicoherence.evaluation.partial import fingerprint
from equicoherence.evaluation.poses.linear_map import LinearMap, fit_linear_map
from equicoherence.evaluation.poses.probes import REVISION, PoseProbeConfig, pose_probes
from equicoherence.evaluation.poses.read_renders import read_renders, usual_views
from equicoherence.evaluation.poses.renders import Renders
from equicoherence.evaluation.poses.retrieval import retrieval
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.results import read_results
from equicoherence.evaluation.subject import subjects_of
from equicoherence.files import write_aside
from equicoherence.notice import say
from equicoherence.training.config_file import plain_values

NAME = "3diebench.json"
WIDEST = 1024  # channels up to which a map is fitted: it takes the third power of them
SAME = ("data", "data_digest", "size", "arch", "random_weights")  # what the scores of a file share, besides settings


@dataclass(frozen=True)
class _Prepared:
    """A model and the two sides of a set, and ``about``, all that scores of them depend on."""

    model: FrozenModel
    train: ThreeDIEBench
    test: ThreeDIEBench
    about: dict[str, Any]


def benchmark_models(
    models: Sequence[str],
    data: str | Path,
    out: Path,
    *,
    config: PoseProbeConfig | None = None,
    views: int | None = None,
    sources: int | None = 5,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Score models with `benchmark_3diebench`, each into the folder of ``out`` that has its last name; return all.

    All are loaded and their folders looked at before any is scored. Scores that are there of the same weights, data and
    settings are kept; those of other weights or of an earlier revision of the probes are made anew, which a printed
    line says. models, arch, size: as `subjects_of`; random_weights: of all.
    Raises ValueError also for no model, two of one last name, a folder with scores of other data, settings, size or
    model, and for ``arch`` and ``size`` where no model takes them.
    """
    with refusing():
        if not models:
            raise ValueError("there is no model to score: give at least one (--model)")
        subjects = subjects_of(models, arch, False, size)
        names = [Path(each.model).name.replace("timm:", "timm-") for each in subjects]
        if len(set(names)) < len(names):
            raise ValueError(
                "two models have the same last name and would share a folder of --out; score them one by one"
            )
        chosen = {"views": views, "sources": sources, "random_weights": random_weights}
        kept = {}
        for each, name in zip(subjects, names):
            about = _prepare(
                each.model, data, config or PoseProbeConfig(), **chosen, arch=each.arch, size=each.size
            ).about
            kept[each.model] = _kept(out / name / NAME, each.model, about, controls)
    found = {}
    for each, name in zip(subjects, names):
        found[each.model] = kept[each.model] or benchmark_3diebench(
            each.model, data, out / name, config=config, controls=controls, **chosen, arch=each.arch, size=each.size
        )
    return found


def benchmark_3diebench(
    model: str | Path,
    data: str | Path,
    out: Path,
    *,
    config: PoseProbeConfig | None = None,
    views: int | None = None,
    sources: int | None = 5,
    controls: bool = True,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
) -> dict[str, Any]:
    """Score MODEL on a folder in 3DIEBench's layout and write ``out/3diebench.json``; return its content.

    Rows: those of `pose_probes` for every representation; those of `retrieval` for each of backbone, z_equi and z of up
    to 1024 channels, through a map fitted on training pairs (``probe`` fitted_linear_map), and, of a run on poses whose
    method has a predictor of its own, of ``embedding``, what that method maps z_equi to (``probe`` own where it was
    told the rotation alone, else ``own, hues too``). ``data_digest`` is of the folder's render.yaml, "" without one;
    ``bad_images`` says how many of each side were damaged.
    config: of the probes. views: of each object, the first so many of those that it has; all that the most objects have
    where None. sources: views of each object that retrieval starts from, at most; all where None. controls: also score
    random weights, which have no predictor of their own.
    Raises ValueError or FileNotFoundError where model or data cannot be used.
    """
    config = config or PoseProbeConfig()
    with generators_kept():
        with refusing():
            prepared = _prepare(model, data, config, views, sources, arch, random_weights, size)
        frozen, sides = prepared.model, (prepared.train, prepared.test)
        start = time.perf_counter()
        (known, bad_known), (asked, bad_asked) = (read_renders(frozen, source, views) for source in sides)
        starts: int = prepared.about["settings"]["sources"]
        _say_left_out(asked)
        of_model = _scored(known, asked, config, starts, frozen.predictor)
        rows = [{**row, "control": row.get("control", "")} for row in of_model]
        if controls:
            floor = random_control(frozen, frozen.config.seed if frozen.config else 0)
            of_train, of_test = (read_renders(floor, source, views)[0] for source in sides)
            of_floor = _scored(of_train, of_test, config, starts)
            # a constant's scores do not depend on the encoder
            rows += [{**row, "control": "random"} for row in of_floor if not row.get("control")]
    results = {
        "model": str(model),
        "name": frozen.group,
        **prepared.about,
        "objects": {"train": known.objects, "val": asked.objects},
        "bad_images": {"train": bad_known, "val": bad_asked},
        "seconds": round(time.perf_counter() - start, 1),
        **provenance(),
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_aside(out / NAME, json.dumps(results, indent=1))
    return results


def _prepare(
    model: str | Path,
    data: str | Path,
    config: PoseProbeConfig,
    views: int | None,
    sources: int | None,
    arch: str | None,
    random_weights: bool,
    size: int | None,
) -> _Prepared:
    if sources is not None and sources < 1:
        raise ValueError(f"sources is {sources}, but retrieval needs at least 1 view to start from")
    frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
    train, test = (ThreeDIEBench(data, split) for split in ("train", "val"))
    of_train, of_test = (usual_views(source) if views is None else views for source in (train, test))
    manifest = train.root / MANIFEST
    about = {
        "data": str(data),
        "data_digest": hashlib.blake2b(manifest.read_bytes()).hexdigest()[:32] if manifest.is_file() else "",
        "size": frozen.size,
        "arch": frozen.encoder.name,
        "random_weights": random_weights,
        "weights": fingerprint(frozen),
        "settings": {
            "revision": REVISION,
            "probes": plain_values(config),
            "views": of_train,
            "sources": of_test if sources is None else min(sources, of_test),
        },
    }
    return _Prepared(frozen, train, test, about)


def _kept(path: Path, model: str, about: Mapping[str, Any], controls: bool) -> dict[str, Any] | None:
    """Return the scores of a file where they are those asked for, None where they are to be made.

    Raises ValueError where they are of other data, settings, size or model: the two belong into two files.
    """
    found = read_results(path)
    if not found:
        return None
    revised = found["settings"]["revision"] != REVISION
    now = {**about, "model": model}
    compared = [*SAME, *([] if revised else ["settings"]), *([] if found["weights"] == about["weights"] else ["model"])]
    if differing := [name for name in compared if name in found and found[name] != now[name]]:
        changes = "; ".join(f"{name} {found[name]!r}, not {now[name]!r}" for name in differing)
        raise ValueError(f"{path} holds scores for {changes}; give another --out")
    if revised or found["weights"] != about["weights"]:
        why = "an earlier revision of the probes" if revised else "other weights (the run has been trained on)"
        say(f"{path}: the scores are of {why} and are made anew")
        return None
    return found if not controls or any(row["control"] == "random" for row in found["rows"]) else None


def _scored(
    train: Renders, test: Renders, config: PoseProbeConfig, sources: int, predictor: OwnPredictor | None = None
) -> Iterator[dict[str, Any]]:
    yield from pose_probes(train, test, config)
    for name in _retrieved(test):
        if test.features[name].shape[2] <= WIDEST:
            found = fit_linear_map(train, name, seed=config.seed)
            yield from retrieval(test, name, found, LinearMap.name, sources=sources)
    if predictor is not None:
        embedded = dataclasses.replace(test, features={"embedding": predictor.embed(test.features["z_equi"])})
        yield from retrieval(embedded, "embedding", predictor, predictor.name, sources=sources)


def _retrieved(renders: Renders) -> list[str]:
    return [name for name in renders.features if name in ("backbone", "z_equi", "z")]


def _say_left_out(renders: Renders) -> None:
    widths = {name: renders.features[name].shape[2] for name in _retrieved(renders)}
    if wide := [f"{name} ({width} channels)" for name, width in widths.items() if width > WIDEST]:
        say(f"no retrieval for {', '.join(wide)}: a map is fitted up to {WIDEST} channels")
