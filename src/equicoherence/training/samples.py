"""A few decoded samples of a finished run, for its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.files import replacing
from equicoherence.finite import check_features
from equicoherence.training.config import PretrainConfig
from equicoherence.training.feed import Feed
from equicoherence.training.learner import Learner
from equicoherence.training.seeds import step_seed

COUNT = 8


@torch.no_grad()
def take_samples(learner: Learner, feed: Feed, loader: Loader, config: PretrainConfig) -> dict[str, np.ndarray]:
    """Return views, base image, target and decoded states (uint8) of some images of the data, and their theta.

    Raises `NotFinite` where the encoder, as it is used after training, gives features that are not.
    """
    device = learner.encoder.mean.device
    count = min(COUNT, len(feed))
    if feed.group == 1:
        indices = np.linspace(0, len(feed) - 1, count).astype(np.int64)  # all over the data, which may lie by class
    else:
        indices = feed.indices(count, config.seed, 0)
    batch = next(iter(loader.batches([indices]))).to(device)
    made = feed.whole_views(batch, torch.Generator(device).manual_seed(step_seed(config.seed, 0, 0, 2)))
    assert made.base is not None
    pictures = {"v1": made.v1, "v2": made.v2, "targets": made.targets, "base": made.base}
    arrays = {name: as_bytes(pixels) for name, pixels in pictures.items()}
    learner.eval()
    features = learner.encoder(torch.cat([made.v1, made.v2]))
    _, z_equi = learner.split(features)  # not the method, which would wait for the other processes
    found = {"backbone": features.pooled(learner.pool), "z_equi": z_equi}
    check_features({name: part for name, part in found.items() if part is not None}, "the trained encoder")
    if learner.task is not None and z_equi is not None:
        decoded = learner.task(*z_equi.chunk(2), made).decoded
        if decoded is not None:
            arrays["decoded"] = as_bytes(decoded)
    arrays |= {
        "positions": np.array(feed.positions, dtype=np.float32),
        "theta": made.theta.cpu().numpy(),
        "theta_names": np.array([p.name for p in feed.parameters], dtype=np.str_),
        "theta_units": np.array([p.unit for p in feed.parameters], dtype=np.str_),
    }
    return arrays


def save_samples(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write ``samples.npz``, whole or not there."""
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def as_bytes(images: Tensor) -> np.ndarray:
    """Return images (..., C, H, W) in [0, 1] as pictures (..., H, W, 3) uint8.

    Of more than three channels the first three are shown; where there are two, the third is black.
    """
    images = F.pad(images, (0, 0, 0, 0, 0, 3 - images.shape[-3]))
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).movedim(-3, -1).cpu().numpy()
