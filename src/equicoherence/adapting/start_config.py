"""The configuration that an encoder is adapted with: a recipe, from MODEL on, and what the recipe leaves to MODEL."""

from __future__ import annotations

import contextlib
import dataclasses

import torch
from timm.layers import HybridEmbed

from equicoherence.coherence.config import CONVOLUTIONAL
from equicoherence.models import Encoder
from equicoherence.models.layers import layer_widths
from equicoherence.models.train_setting import HEAD
from equicoherence.recipes.from_file import named_config
from equicoherence.training.config import PretrainConfig
from equicoherence.training.start import Start, read_start
from equicoherence.training.views_config import reading_size

SMALL = "-tiny"  # ends the name of a recipe whose size of views is a budget, and not the model's own
MIDDLE = (1 / 2, 1 / 4, 3 / 4)  # of the depth: the first one's tokens are those of z_equi


def start_config(
    recipe: str | PretrainConfig, model: str, *, size: int | None = None, source: int | None = None
) -> tuple[PretrainConfig, Start]:
    """Return the configuration of a recipe that starts from MODEL, and MODEL as it was read for it, at its own size.

    recipe: its name or file, or its configuration, which says what is trained of the encoder. A head over layers that
        it does not name reads the `middle_layers` of a frozen encoder, and the output, which is trained, of any other.
        If its encoder starts from MODEL already, its name, arguments and normalisation stand; they are dropped if not.
    size: pixels of the views; `view_size` where None.
    source: pixels that images are read at; as `equicoherence evaluate` reads them for MODEL where None.

    Raises FileNotFoundError or ValueError for a recipe or a model that there is not.
    """
    config = named_config(recipe) if isinstance(recipe, str) else recipe
    encoder = config.encoder if config.encoder.weights == model else config.encoder.starting_from(model)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        start = read_start(model, None, encoder.name, encoder.args)
    size = view_size(config, start) if size is None else size
    if source is None:
        source = start.source if start.source and size == start.size else reading_size(size)
    views = dataclasses.replace(config.views, size=size, source=source)
    task = config.coherence
    if task is not None and task.split in CONVOLUTIONAL and not task.layers and encoder.train == HEAD:
        task = dataclasses.replace(task, layers=middle_layers(start.encoder))
    return dataclasses.replace(config, encoder=encoder, views=views, coherence=task), start


def view_size(config: PretrainConfig, start: Start) -> int:
    """Return the pixels of views of a model: its own, or for a tiny recipe that of the recipe, at most the model's own.

    A vision transformer gets the nearest multiple of its patches: 98 pixels in place of 96 where they are of 14.
    """
    if not config.name.endswith(SMALL):
        return start.size
    patch = _patch(start.encoder)
    return min(start.size, max(1, round(config.views.size / patch)) * patch)


def middle_layers(encoder: Encoder) -> tuple[int, ...]:
    """Return the layers at a half, a quarter and three quarters of the depth; none where timm tells no layers."""
    with contextlib.suppress(ValueError):
        last = len(layer_widths(encoder.model, encoder.name)) - 1
        return tuple(dict.fromkeys(round(share * last) for share in MIDDLE))
    return ()


def _patch(encoder: Encoder) -> int:
    """Return the pixels of a side of the patches that images are cut into first, 1 where a convolution overlaps."""
    embed = getattr(encoder.model, "patch_embed", None)
    sizes = embed.feat_ratio() if isinstance(embed, HybridEmbed) else getattr(embed, "patch_size", 1)
    return int(sizes[0] if isinstance(sizes, tuple | list) else sizes)
