"""3DIEBench on any encoder: what its features tell of pose, color and class, and retrieval of views."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import Loader, ThreeDIEBench
from equicoherence.data.poses import FLOOR_HUE, LIGHT_HUE, quaternion
from equicoherence.evaluation.linear_map import LinearMap, fit_linear_map
from equicoherence.evaluation.model import FrozenModel, generators_kept, load_model, random_control
from equicoherence.evaluation.own_predictor import OwnPredictor
from equicoherence.evaluation.partial import fingerprint
from equicoherence.evaluation.pose_probes import REVISION, PoseProbeConfig, pose_probes
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.renders import Renders
from equicoherence.evaluation.retrieval import retrieval
from equicoherence.files import write_aside
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import plain_values

BATCH = 256


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

    Rows: those of `pose_probes` for every representation; those of `retrieval` for each of a backbone of up to 512
    channels, z_equi and z, through a map fitted on training pairs (``probe`` fitted_linear_map), and, of a run on poses
    whose method has a predictor of its own, of ``embedding``, what that method maps z_equi to (``probe`` own).
    config: of the probes. views: of each object, the first so many of those that it has; all that the most objects have
    where None. sources: views of each object that retrieval starts from, at most; all where None. controls: also score
    random weights, which have no predictor of their own.
    Raises ValueError or FileNotFoundError where model or data cannot be used.
    """
    config = config or PoseProbeConfig()
    if sources is not None and sources < 1:
        raise ValueError(f"sources is {sources}, but retrieval needs at least 1 view to start from")
    with generators_kept():
        frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
        train, test = (ThreeDIEBench(data, split) for split in ("train", "val"))
        start = time.perf_counter()
        known, asked = (read_renders(frozen, source, views) for source in (train, test))
        sources = asked.views if sources is None else min(sources, asked.views)
        of_model = _scored(known, asked, config, sources, frozen.predictor)
        rows = [{**row, "control": row.get("control", "")} for row in of_model]
        if controls:
            floor = random_control(frozen, frozen.config.seed if frozen.config else 0)
            of_train, of_test = (read_renders(floor, source, views) for source in (train, test))
            of_floor = _scored(of_train, of_test, config, sources)
            # a constant's scores do not depend on the encoder
            rows += [{**row, "control": "random"} for row in of_floor if not row.get("control")]
    results = {
        "model": str(model),
        "name": frozen.group,
        "data": str(data),
        "size": frozen.size,
        "weights": fingerprint(frozen),
        "settings": {"revision": REVISION, "probes": plain_values(config), "views": known.views, "sources": sources},
        "objects": {"train": known.objects, "val": asked.objects},
        "seconds": round(time.perf_counter() - start, 1),
        **provenance(),
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_aside(out / "3diebench.json", json.dumps(results, indent=1))
    return results


def _scored(
    train: Renders, test: Renders, config: PoseProbeConfig, sources: int, predictor: OwnPredictor | None = None
) -> Iterator[dict[str, Any]]:
    yield from pose_probes(train, test, config)
    yield from _retrieved(train, test, sources, config.seed)
    if predictor is not None:
        embedded = dataclasses.replace(test, features={"embedding": predictor.embed(test.features["z_equi"])})
        yield from retrieval(embedded, "embedding", predictor, predictor.name, sources=sources)


def _retrieved(train: Renders, test: Renders, sources: int, seed: int) -> Iterator[dict[str, Any]]:
    for name, features in test.features.items():
        if name in ("backbone", "z_equi", "z") and features.shape[2] <= 512:
            found = fit_linear_map(train, name, seed=seed)
            yield from retrieval(test, name, found, LinearMap.name, sources=sources)


@torch.no_grad()
def read_renders(model: FrozenModel, source: ThreeDIEBench, views: int | None = None) -> Renders:
    """Return the pooled representations of every object's views, with poses, hues and labels.

    views: of each object; where None as many as most objects have. Objects with fewer are left out.
    Raises ValueError where no object has as many.
    """
    counts = np.diff(source.first)
    views = int(np.bincount(counts).argmax()) if views is None else views
    kept = np.flatnonzero(counts >= views)
    if not len(kept) or views < 2:
        raise ValueError(f"no object of {source.root} has {views} views (at least 2 are needed); choose fewer")
    chosen = (source.first[kept][:, None] + np.arange(views)).ravel()
    config, device = model.config or PretrainConfig(), model.encoder.mean.device
    device = torch.device("cuda") if torch.cuda.is_available() else device
    model.to(device)
    loader = Loader(
        source, model.size, threads=config.threads or None, tolerance=config.bad_image_tolerance, cache_bytes=0
    )
    parts: list[dict[str, Tensor]] = []
    index = []
    for batch in loader.batches(np.split(chosen, range(BATCH, len(chosen), BATCH))):
        index.append(batch.index)
        images = batch.to(device).images.float() / 255
        with torch.autocast(device.type, torch.bfloat16):
            parts.append({name: part.half() for name, part in model.represent(images)[0].items()})
    # a damaged image's place is taken by another: its latents are those of what is seen there
    latents = torch.from_numpy(np.array(source.latents[torch.cat(index).numpy()])).unflatten(0, (-1, views))
    features = {name: torch.cat([part[name] for part in parts]).unflatten(0, (-1, views)) for name in parts[0]}
    return Renders(
        features,
        quaternion(latents[..., :3]).to(device),
        latents[..., [FLOOR_HUE, LIGHT_HUE]].to(device),
        torch.from_numpy(source.labels[chosen[::views]]).to(device),
    )
