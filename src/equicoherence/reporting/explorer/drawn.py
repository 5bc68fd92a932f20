"""Scenes drawn when the page is made: the path of the same images in eleven steps, decoded by every run.

This needs the weights of the runs and their images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from equicoherence.coherence import CoherenceConfig, CoherenceTask, CoherenceTasks
from equicoherence.data import Batch, ImageSource, Loader
from equicoherence.models.decoders import DECODERS
from equicoherence.paths import Between, Transformation, Views
from equicoherence.reporting.explorer.scene import Decoding, Number, PathScene, geodesic_numbers
from equicoherence.reporting.names import data_name
from equicoherence.training.build import build_feed
from equicoherence.training.config import PretrainConfig
from equicoherence.training.feed import ImageFeed
from equicoherence.training.learner import Learner
from equicoherence.training.samples import as_bytes
from equicoherence.training.seeds import step_seed
from equicoherence.training.views_config import POSES

COUNT = 8
STEPS = 11


def can_draw(config: PretrainConfig) -> bool:
    """Return whether a run has a decoder and a path that images of its own can be sent along."""
    task = config.coherence
    return task is not None and any(task.positions_of().values()) and config.views.path != POSES


def alike(config: PretrainConfig) -> tuple[object, ...]:
    """Return what runs share that are shown the same views."""
    views = config.views
    return (
        config.data,
        views.size,
        views.source,
        views.path,
        views.border,
        views.flip,
        views.place,
        repr(views.first),
        repr(views.second),
    )


@torch.no_grad()
def drawn_scene(runs: Sequence[tuple[str, PretrainConfig, Learner]], images: ImageSource | None = None) -> PathScene:
    """Return what runs of `alike` configurations decode of the same images, which lie all over those of training.

    runs: name, configuration and learner of each; the views are those of the first. images: those of training, where
    they are open already. Raises ValueError or OSError where the images cannot be read.
    """
    _, config, learner = runs[0]
    wanted = {place for _, each, _ in runs if each.coherence for place in each.coherence.positions()}
    times = _joined([k / (STEPS - 1) for k in range(STEPS)], wanted)
    feed = build_feed(config, learner.encoder, images)
    assert isinstance(feed, ImageFeed)
    feed.make.positions = tuple(times)
    batch = some_images(feed, config)
    views = feed.whole_views(batch, torch.Generator().manual_seed(step_seed(config.seed, 0, 0, 2)))
    path = feed.make.path
    numbers, theta = (
        geodesic_numbers(views.theta.numpy(), times) if isinstance(path, Between) else _numbers(feed, views, times)
    )
    decodings = [found for name, each, own in runs if (found := _decoded(name, each, own, views)) is not None]
    return PathScene(
        f"{data_name(config.data)}, path {config.views.path}",
        "v1" if isinstance(path, Between) else "u",
        as_bytes(views.v1),
        as_bytes(views.targets),
        np.array(times),
        numbers,
        theta,
        decodings,
    )


def some_images(feed: ImageFeed, config: PretrainConfig) -> Batch:
    """Return `COUNT` images from all over the data, which may lie by class."""
    indices = np.linspace(0, len(feed) - 1, min(COUNT, len(feed))).astype(np.int64)
    loader = Loader(feed.source, config.views.source, tolerance=config.bad_image_tolerance, cache_bytes=0, threads=1)
    return next(iter(loader.batches([indices])))


def _joined(steps: Sequence[float], wanted: set[float]) -> list[float]:
    """Return all places in order, those of ``wanted`` that are steps once."""
    more = [place for place in wanted if all(abs(place - step) > 1e-6 for step in steps)]
    return sorted([*steps, *more])


def _numbers(feed: ImageFeed, views: Views, times: Sequence[float]) -> tuple[list[Number], np.ndarray]:
    path = feed.make.path
    assert isinstance(path, Transformation)
    theta = torch.stack([path.at(views.theta, t) for t in times], dim=1)
    return [Number(p.name, p.unit) for p in path.parameters], theta.double().numpy()


def _decoded(name: str, config: PretrainConfig, learner: Learner, views: Views) -> Decoding | None:
    """Return the decoded states of views at all positions of the decoders of a run; None if it has no decoder."""
    task = learner.task
    if config.coherence is None or not isinstance(task, CoherenceTask | CoherenceTasks):
        return None
    tasks = dict(task.tasks.items()) if isinstance(task, CoherenceTasks) else {config.coherence.decoder: task}
    _, z_equi = learner.split(learner.encoder(torch.cat([views.v1, views.v2])))
    assert z_equi is not None
    z1, z2 = z_equi.chunk(2)
    pictures: dict[int, tuple[str, np.ndarray]] = {}
    for decoder, own in tasks.items():
        columns = _places(config.coherence, decoder, views.positions)
        found = own(z1, z2, views.of_positions(columns)).decoded if columns else None
        if found is not None:
            pictures = {c: (decoder, each) for c, each in zip(columns, as_bytes(found).swapaxes(0, 1))} | pictures
    if not pictures:
        return None
    stops = tuple(sorted(pictures))
    by, shown = zip(*(pictures[stop] for stop in stops))
    return Decoding(name, stops, by, np.stack(shown, axis=1))


def _places(task: CoherenceConfig, decoder: str, times: Sequence[float]) -> list[int]:
    """Return the positions that a decoder decodes: its own, or all between the ends if it receives the position."""
    own = task.positions_of().get(decoder, ())
    inside = any(0 < place < 1 for place in own)
    if inside and (task.spacing == "random" or DECODERS[decoder].path):
        return [k for k, t in enumerate(times) if 0 < t < 1 or (t in own)]
    return [k for k, t in enumerate(times) if any(abs(t - place) < 1e-6 for place in own)]
