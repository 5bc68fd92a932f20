"""The images of each step: pure functions of the seed and the step, the same on every machine.

Nothing is stored between steps, so a resumed run continues with exactly the batch it would have had.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=4)
def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """Shuffle 0 .. n-1 for one epoch.

    Args:
        n: Number of images.
        seed: Run seed, at least 0.
        epoch: Epoch number, from 0.

    Returns:
        (n,) int64, read-only.
    """
    if n < 0 or seed < 0 or epoch < 0:
        raise ValueError(f"n, seed and epoch must be at least 0, got n={n}, seed={seed}, epoch={epoch}")
    # Sorting raw Philox words: numpy promises that stream for ever, which it does not for Generator.permutation.
    words = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(n)
    order = np.argsort(words, kind="stable").astype(np.int64, copy=False)
    order.setflags(write=False)
    return order


def steps_per_epoch(n: int, batch_size: int, world: int = 1) -> int:
    """Return the number of complete global batches in n images; the rest of an epoch is dropped.

    Args:
        n: Number of images.
        batch_size: Images per rank and step.
        world: Number of ranks.

    Raises:
        ValueError: n is smaller than one global batch.
    """
    if batch_size < 1 or world < 1:
        raise ValueError(f"batch_size and world must be at least 1, got batch_size={batch_size}, world={world}")
    if n < batch_size * world:
        raise ValueError(
            f"{n} images do not fill one global batch of {batch_size * world} (batch_size {batch_size} x {world} "
            f"ranks): use a batch_size of at most {n // world}, fewer ranks, or more images"
        )
    return n // (batch_size * world)


def batch_indices(n: int, batch_size: int, seed: int, step: int, rank: int = 0, world: int = 1) -> np.ndarray:
    """Return the images of one rank at one global step.

    Within an epoch the batches of the ranks neither overlap nor leave a gap: concatenated, in the order of the steps
    and of the ranks in each, they are the beginning of ``epoch_order``.

    Args:
        n: Number of images.
        batch_size: Images per rank and step.
        seed: Run seed, at least 0.
        step: Global step, from 0, counted through all epochs.
        rank: This rank, from 0.
        world: Number of ranks.

    Returns:
        (batch_size,) int64.

    Raises:
        ValueError: n is smaller than one global batch, or an argument is out of range.
    """
    if step < 0 or not 0 <= rank < world:
        raise ValueError(f"need step >= 0 and 0 <= rank < world, got step={step}, rank={rank}, world={world}")
    epoch, within = divmod(step, steps_per_epoch(n, batch_size, world))
    start = (within * world + rank) * batch_size
    return epoch_order(n, seed, epoch)[start : start + batch_size].copy()
