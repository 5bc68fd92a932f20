"""A frozen encoder on every view of a set with poses: what `Renders` holds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import Loader, ThreeDIEBench
from equicoherence.data.poses.latents import FLOOR_HUE, LIGHT_HUE, quaternion
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.poses.renders import Renders
from equicoherence.evaluation.task import Track, no_bar
from equicoherence.finite import check_features
from equicoherence.notice import say

BATCH = 256


def usual_views(source: ThreeDIEBench) -> int:
    """Return how many views most objects have."""
    return int(np.bincount(np.diff(source.first)).argmax())


@torch.no_grad()
def read_renders(
    model: FrozenModel, loader: Loader, views: int | None = None, track: Track = no_bar
) -> tuple[Renders, int]:
    """Return the pooled representations of every object's views, with poses, hues and labels; and how many images were
    damaged, which a printed line says too.

    loader: of a `ThreeDIEBench`, at the size of the model's input.
    views: of each object; if None as many as most objects have. Objects with fewer are left out.
    Raises ValueError where no object has as many.
    """
    source = loader.source
    assert isinstance(source, ThreeDIEBench)
    counts = np.diff(source.first)
    views = usual_views(source) if views is None else views
    kept = np.flatnonzero(counts >= views)
    if not len(kept) or views < 2:
        raise RefusedValue(f"no object of {source.root} has {views} views (at least 2 are needed); choose fewer")
    chosen = (source.first[kept][:, None] + np.arange(views)).ravel()
    device = model.encoder.mean.device
    parts: list[dict[str, Tensor]] = []
    index = []
    chunks = np.split(chosen, range(BATCH, len(chosen), BATCH))
    batches = loader.batches(chunks)
    for _ in track(range(len(chunks)), "renders: features"):
        batch = next(batches)
        index.append(batch.index)
        images = batch.to(device).images.float() / 255
        with reading(device):
            parts.append({name: part.half() for name, part in model.represent(images)[0].items()})
    if loader.bad:
        text = f"{source.root}: {len(loader.bad)} damaged images; other views of their objects stand in their places"
        say(text)
    # a damaged image's place is taken by another: its latents are those of what is seen there
    latents = torch.from_numpy(np.array(source.latents[torch.cat(index).numpy()])).unflatten(0, (-1, views))
    if device.type == "mps":  # which has no float64
        latents = latents.float()
    features = {name: torch.cat([part[name] for part in parts]).unflatten(0, (-1, views)) for name in parts[0]}
    check_features(features, model.name)
    renders = Renders(
        features,
        quaternion(latents[..., :3]).to(device),
        latents[..., [FLOOR_HUE, LIGHT_HUE]].to(device),
        torch.from_numpy(source.labels[chosen[::views]]).to(device),
    )
    return renders, len(loader.bad)
