"""A few decoded samples of a finished run, for its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.paths import PathViews, Views
from equicoherence.training.config import PretrainConfig
from equicoherence.training.learner import Learner
from equicoherence.training.seeds import step_seed

COUNT = 8


@torch.no_grad()
def save_samples(learner: Learner, views: PathViews, loader: Loader, config: PretrainConfig, path: Path) -> None:
    """Write ``samples.npz``: views, base image, target and decoded states (uint8) of the first images of the data."""
    device = learner.encoder.mean.device
    indices = np.linspace(0, len(loader.source) - 1, min(COUNT, len(loader.source))).astype(np.int64)
    batch = next(iter(loader.batches([indices]))).to(device)
    generator = torch.Generator(device)

    def make(positions: tuple[float, ...]) -> Views:
        views_there = PathViews(
            views.first, views.second, views.path, size=views.size, positions=positions, border=views.border
        )
        generator.manual_seed(step_seed(config.seed, 0, 0, 2))
        return views_there(batch.images, generator, batch.aspect)

    made = make((0.0,))  # the same draw with u as its one target
    targets = make(views.positions).targets
    arrays = {"v1": _bytes(made.v1), "v2": _bytes(made.v2), "targets": _bytes(targets)}
    arrays["base"] = _bytes(made.targets)[:, 0] if views.path is not None else arrays["v2"]
    learner.eval()
    generator.manual_seed(step_seed(config.seed, 0, 0, 2))
    seen = views(batch.images, generator, batch.aspect)
    _, z_equi = learner.encode(seen)  # not the method, which would wait for the other processes
    if learner.task is not None and z_equi is not None:
        decoded = learner.task(*z_equi.chunk(2), seen).decoded
        if decoded is not None:
            arrays["decoded"] = _bytes(decoded)
    parameters = views.path.parameters if views.path is not None else ()
    arrays |= {
        "positions": np.array(views.positions, dtype=np.float32),
        "theta": made.theta.cpu().numpy(),
        "theta_names": np.array([p.name for p in parameters], dtype=np.str_),
        "theta_units": np.array([p.unit for p in parameters], dtype=np.str_),
    }
    aside = path.with_name("samples.tmp.npz")
    np.savez_compressed(aside, allow_pickle=False, **arrays)
    aside.replace(path)


def _bytes(images: Tensor) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).movedim(-3, -1).cpu().numpy()
