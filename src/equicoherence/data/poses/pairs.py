"""Which images of an object are seen together: two views, or a whole pose path; pure functions of seed and step."""

from __future__ import annotations

import numpy as np

from equicoherence.data.poses.paths import PosePaths
from equicoherence.data.poses.threediebench import ThreeDIEBench
from equicoherence.data.sampler import batch_indices, steps_per_epoch

_PAIRS = 20_000  # enough for the mean and deviation of what changes between two views


def draw_pairs(first: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Draw two different images of each object, in either order.

    Args:
        first: (O + 1,) int64, first image of each object, and the number of images; at least 2 each.
        seed: Run seed, at least 0.
        epoch: Epoch number, from 0.

    Returns:
        (O, 2) int64.
    """
    start, count = first[:-1], np.diff(first).astype(np.uint64)
    words = _words(len(start), 2, seed, epoch)
    one = words[:, 0] % count
    other = (one + 1 + words[:, 1] % (count - 1)) % count
    return start[:, None] + np.stack([one, other], axis=1).astype(np.int64)


def draw_paths(groups: np.ndarray, path_objects: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Draw one path of each object that has any, from either end.

    Args:
        groups: (P, 2 + K) int64, the images of each path: its two ends, then its states in order.
        path_objects: (P,) int64, rising: the object of each path.
        seed: Run seed, at least 0.
        epoch: Epoch number, from 0.

    Returns:
        (objects with a path, 2 + K) int64, rows of ``groups``, half of them turned round, ends and states.
    """
    _, start, count = np.unique(path_objects, return_index=True, return_counts=True)
    words = _words(len(start), 2, seed, epoch)
    chosen = groups[start + (words[:, 0] % count.astype(np.uint64)).astype(np.int64)]
    turned = np.concatenate([chosen[:, 1::-1], chosen[:, :1:-1]], axis=1)
    return np.where((words[:, 1] >> np.uint64(63)).astype(bool)[:, None], turned, chosen)


def _words(rows: int, columns: int, seed: int, epoch: int) -> np.ndarray:
    """Draw raw Philox words (rows, columns): another stream than that of the order, and the same for ever."""
    return np.random.Philox(np.random.SeedSequence([seed, epoch, 1])).random_raw(rows * columns).reshape(rows, columns)


class PoseSampler:
    """Batches of images that belong together, each object once in an epoch.

    Of `ThreeDIEBench` two views of each object, of `PosePaths` one path of each object that has one. Which objects a
    step sees is `batch_indices` of the objects; what of each depends on the seed, the epoch and the object alone, so
    that the global batch does not depend on the number of ranks.

    Args:
        source: The images.
    """

    between: tuple[float, ...]
    """Where the states of each item lie on its path, rising, without its ends."""

    def __init__(self, source: ThreeDIEBench | PosePaths) -> None:
        self.source = source
        self.between = source.between if isinstance(source, PosePaths) else ()
        self._objects = len(np.unique(source.path_objects)) if isinstance(source, PosePaths) else len(source.first) - 1
        self._drawn: tuple[tuple[int, int], np.ndarray] | None = None

    def __len__(self) -> int:
        """Count the objects: what `steps_per_epoch` is to be asked with."""
        return self._objects

    def indices(self, batch_size: int, seed: int, step: int, rank: int = 0, world: int = 1) -> np.ndarray:
        """Give the images that one rank sees at one global step.

        Args:
            batch_size: Objects per rank and step.
            seed: Run seed, at least 0.
            step: Global step, from 0, counted through all epochs.
            rank: This rank, from 0.
            world: Number of ranks.

        Returns:
            (batch_size * (2 + K),) int64, positions in the source: of each object view 1, view 2, then the K states
            from view 1 to view 2. For `Loader.batches`; a batch is then what `PoseViews` takes.

        Raises:
            ValueError: there are fewer objects than one global batch, or an argument is out of its range.
        """
        objects = batch_indices(len(self), batch_size, seed, step, rank, world)
        return self._groups(seed, step // steps_per_epoch(len(self), batch_size, world))[objects].ravel()

    def pairs(self) -> np.ndarray:
        """Return pairs of views (M, 2) that stand for those of all epochs, the same for ever.

        Of `PosePaths` the ends of all paths, either way round; of `ThreeDIEBench` at least 20,000, each object's
        equally many.
        """
        if isinstance(self.source, PosePaths):
            ends = self.source.groups[:, :2]
            return np.concatenate([ends, ends[:, ::-1]])
        epochs = -(-_PAIRS // len(self))
        return np.concatenate([draw_pairs(self.source.first, 0, epoch) for epoch in range(epochs)])

    def _groups(self, seed: int, epoch: int) -> np.ndarray:
        drawn = self._drawn
        if drawn is None or drawn[0] != (seed, epoch):
            if isinstance(self.source, PosePaths):
                groups = draw_paths(self.source.groups, self.source.path_objects, seed, epoch)
            else:
                groups = draw_pairs(self.source.first, seed, epoch)
            drawn = self._drawn = (seed, epoch), groups
        return drawn[1]
