"""How many images a step needs: refused before anything is begun."""

from __future__ import annotations

from equicoherence.data import ImageSource, left_to_train, steps_per_epoch
from equicoherence.methods import METHODS
from equicoherence.models.train_setting import HEAD
from equicoherence.paths.between import BETWEEN
from equicoherence.paths.view_batch import share_of
from equicoherence.training.config import PretrainConfig


def check_batch(config: PretrainConfig, source: ImageSource, world: int, items: int | None = None) -> int:
    """Return the steps of an epoch of the images of ``source`` on ``world`` processes.

    items: of an epoch, where they are pairs of images.

    Raises ValueError where they do not fill a batch, or where a part of a batch, or what it has without the task, is
    one image alone and the method compares images with each other.
    """
    items = len(source) if items is None else items
    optim, method = config.optim, METHODS[type(config.method)]
    least = 2 if method.compares_images else 1
    part = optim.batch_size // optim.accumulation  # the smallest, where they are not all alike
    if items < world * least:
        left = left_to_train(source) if items == len(source) else f"gives {items} pairs of images to train on"
        raise ValueError(
            f"{config.data!r} {left}, but {method.__name__} on {world} process{'es' * (world != 1)} "
            f"needs at least {world * least}; give more images with --data"
        )
    if part < least:
        raise ValueError(
            f"optim.batch_size {optim.batch_size} in {optim.accumulation} parts (optim.accumulation) is {part} image "
            f"in a part, but {method.__name__} compares images with each other; give --optim.batch-size "
            f"{least * optim.accumulation}"
        )
    _check_others(config, part, least)
    if items < optim.batch_size * world:
        most = items // world
        accumulation = "" if optim.accumulation * least <= most else " --optim.accumulation 1"
        raise ValueError(
            f"{items} images do not fill one batch of {optim.batch_size * world} (optim.batch_size {optim.batch_size} "
            f"x {world} processes); give --optim.batch-size {most}{accumulation}, or more images with --data"
        )
    return steps_per_epoch(items, optim.batch_size, world)


def _check_others(config: PretrainConfig, part: int, least: int) -> None:
    """Refuse a share of the task that leaves too few samples of a part for the invariant loss of the others."""
    task, views = config.coherence, config.views
    if views.invariant != "others" or task is None or views.path in ("none", BETWEEN) or config.encoder.train == HEAD:
        return
    left = part - share_of(part, task.share)
    if left < least:
        raise ValueError(
            f"views.invariant is others, but coherence.share {task.share:g} of optim.batch_size "
            f"{config.optim.batch_size} in {config.optim.accumulation} parts (optim.accumulation) leaves {left} of "
            f"{part} images of a part without the task, where {METHODS[type(config.method)].__name__} needs at least "
            f"{least}; give a smaller --coherence.share, or --views.invariant base"
        )
