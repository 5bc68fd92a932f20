"""The configuration that an encoder is adapted with: a recipe, from MODEL on, with views of a size that fits it."""

from __future__ import annotations

import dataclasses

import torch

from equicoherence.evaluation.model import reading_size
from equicoherence.models import Encoder
from equicoherence.recipes.from_file import named_config
from equicoherence.training.config import PretrainConfig
from equicoherence.training.start import read_start

SMALL = "-tiny"  # ends the name of a recipe whose size of views is a budget, and not the model's own


def start_config(recipe: str, model: str, size: int | None = None) -> PretrainConfig:
    """Return the configuration of a recipe, by name or file, that starts from MODEL.

    size: pixels of the views; `view_size` where None. Images are read as `equicoherence evaluate` reads them for it.

    Raises FileNotFoundError or ValueError for a recipe or a model that there is not.
    """
    config = named_config(recipe)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        size = view_size(config, model) if size is None else size
    views = dataclasses.replace(config.views, size=size, source=reading_size(size))
    return dataclasses.replace(config, encoder=config.encoder.starting_from(model), views=views)


def view_size(config: PretrainConfig, model: str) -> int:
    """Return the pixels of views of MODEL: its own, or for a tiny recipe that of the recipe, at most the model's own.

    A vision transformer gets the nearest multiple of its patches: 98 pixels in place of 96 where they are of 14.
    """
    start = read_start(model, None, "", {})
    if not config.name.endswith(SMALL):
        return start.size
    patch = _patch(start.encoder)
    return min(start.size, max(1, round(config.views.size / patch)) * patch)


def _patch(encoder: Encoder) -> int:
    """Return the pixels of a side of the patches that images are cut into first, 1 where a convolution overlaps."""
    sizes = getattr(getattr(encoder.model, "patch_embed", None), "patch_size", 1)
    return int(sizes[0] if isinstance(sizes, tuple | list) else sizes)
