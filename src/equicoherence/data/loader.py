"""Batches of images, decoded ahead by threads and kept in memory where they fit."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from equicoherence.data.source import BadImage, ImageSource, Sample, TooManyBadImages

_CHUNK = 8  # images per job: enough to make the hand-over cheap, few enough to stop soon


@dataclass(frozen=True)
class Batch:
    """Images of one step. If an image was bad, all five fields are those of its replacement."""

    images: Tensor
    """(B, C, S, S) uint8, or uint16 of images of more than 8 bits."""
    aspect: Tensor
    """(B,) float32, width / height of the originals."""
    side: Tensor
    """(B,) float32, pixels of the originals' shorter sides."""
    labels: Tensor
    """(B,) int64, -1 where unknown."""
    index: Tensor
    """(B,) int64, positions in the source."""

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """Copy the batch to a device."""
        return Batch(*(field.to(device, non_blocking=non_blocking) for field in self._fields))

    def part(self, start: int, stop: int) -> Batch:
        """Return the images from ``start`` up to ``stop``."""
        return Batch(*(field[start:stop] for field in self._fields))

    @property
    def _fields(self) -> tuple[Tensor, ...]:
        return self.images, self.aspect, self.side, self.labels, self.index


def usable_cores() -> int:
    """Count the cores this process may use; in a container or a job these are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Loader:
    """Decode batches of a source in the given order.

    If all pixels fit into ``cache_bytes`` (N * S * S * 3 for 8-bit RGB), each image is decoded once and later batches
    are read from memory; each process has its own cache. A bad image is recorded in ``bad`` and replaced by the next
    good one (index + 1, + 2, ... modulo N), so the result depends only on the data.

    Args:
        source: The images.
        size: Width and height S of the squares in pixels.
        threads: Decoding threads; by default the cores this process may use, at most 16.
        tolerance: Largest share of the N images, 0 to 1, that may be bad before ``TooManyBadImages``; 0 stops at the
            first.
        cache_bytes: Memory for decoded images in bytes; 0 for none.
        prefetch: Batches decoded ahead, at least 1.
    """

    bad: dict[str, str]
    """Bad images found so far: name -> reason."""

    def __init__(
        self,
        source: ImageSource,
        size: int,
        *,
        threads: int | None = None,
        tolerance: float = 0.01,
        cache_bytes: int = 2**30,
        prefetch: int = 4,
    ) -> None:
        threads = min(16, usable_cores()) if threads is None else threads
        if size < 1 or threads < 1 or prefetch < 1:
            raise ValueError(
                f"size, threads and prefetch must be at least 1, got size={size}, threads={threads}, "
                f"prefetch={prefetch}"
            )
        if not 0 <= tolerance <= 1:
            raise ValueError(f"bad_image_tolerance must be a share from 0 to 1, got {tolerance}")
        self.source, self.size, self.threads, self.tolerance, self.prefetch = source, size, threads, tolerance, prefetch
        self.bad = {}
        self._bad_indices: set[int] = set()
        self._lock = threading.Lock()
        self._pin = torch.cuda.is_available()
        n = len(source)
        self._labels = torch.from_numpy(np.array(source.labels, dtype=np.int64))
        self._aspect, self._side = torch.ones(n), torch.zeros(n)
        self._shown = np.full(n, -1, dtype=np.int64)  # index -> the good image shown for it, -1 before it is decoded
        self._shape = (source.format.channels, size, size)
        self._dtype = torch.uint8 if source.format.bits == 8 else torch.uint16
        fits = n * math.prod(self._shape) * self._dtype.itemsize <= cache_bytes
        self._cache = torch.empty((n, *self._shape), dtype=self._dtype) if fits else None

    def batches(self, indices: Iterable[np.ndarray]) -> Generator[Batch, None, None]:
        """Yield one batch per array of indices, in order; closing the iterator stops the threads.

        Args:
            indices: Arrays (B,) of indices into the source; may be endless, and is read ``prefetch`` arrays ahead.

        Raises:
            TooManyBadImages: more than the tolerated share is bad.
            IndexError: an index is outside the source.
        """
        decoding = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        gathering = ThreadPoolExecutor(1, thread_name_prefix="gather")
        pending: deque[Future[Batch]] = deque()
        try:
            for wanted in indices:
                pending.append(self._submit(np.asarray(wanted, dtype=np.int64), decoding, gathering))
                if len(pending) > self.prefetch:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            decoding.shutdown(wait=True, cancel_futures=True)
            gathering.shutdown(wait=True, cancel_futures=True)

    def _submit(self, wanted: np.ndarray, decoding: ThreadPoolExecutor, gathering: ThreadPoolExecutor) -> Future[Batch]:
        n = len(self.source)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < n:
            raise IndexError(f"indices {wanted.min()} to {wanted.max()} asked of a source of {n} images")
        images = self._empty(len(wanted))
        missing = wanted if self._cache is None else np.unique(wanted[self._shown[wanted] < 0])
        jobs = [
            decoding.submit(self._decode, missing[start : start + _CHUNK], images[start : start + _CHUNK])
            for start in range(0, len(missing), _CHUNK)
        ]
        return gathering.submit(self._gather, wanted, jobs, images)

    def _decode(self, indices: np.ndarray, images: Tensor) -> None:
        """Decode images to their places in the cache or, where there is none, to ``images``, one after another."""
        for position, index in enumerate(indices.tolist()):
            shown, sample = self._first_good(index)
            place = images[position] if self._cache is None else self._cache[shown]
            place.numpy()[...] = sample.pixels.transpose(2, 0, 1)
            self._aspect[shown], self._side[shown] = sample.aspect, sample.side
            self._shown[shown] = shown
            self._shown[index] = shown  # last: it says that the pixels are there

    def _first_good(self, index: int) -> tuple[int, Sample]:
        for candidate in self.source.substitutes(index):
            if candidate in self._bad_indices:
                continue
            try:
                return candidate, self.source.load(candidate, self.size)
            except BadImage as error:
                self._note(candidate, error.reason)
        raise TooManyBadImages(self.bad, len(self.source), self.tolerance)

    def _note(self, index: int, reason: str) -> None:
        with self._lock:
            self._bad_indices.add(index)
            self.bad[self.source.name(index)] = reason
            if len(self._bad_indices) > self.tolerance * len(self.source):
                raise TooManyBadImages(self.bad, len(self.source), self.tolerance)

    def _gather(self, wanted: np.ndarray, jobs: list[Future[None]], images: Tensor) -> Batch:
        for job in jobs:
            job.result()
        index = torch.from_numpy(self._shown[wanted])
        if self._cache is not None:
            # One core is enough to copy, and torch's own threads would be taken from the training step.
            np.take(self._cache.numpy(), self._shown[wanted], axis=0, out=images.numpy(), mode="clip")
        small = (self._aspect[index], self._side[index], self._labels[index], index)
        return Batch(images, *(field.pin_memory() if self._pin else field for field in small))

    def _empty(self, count: int) -> Tensor:
        return torch.empty((count, *self._shape), dtype=self._dtype, pin_memory=self._pin)


def first_of_each(index: Tensor) -> Tensor:
    """Return the places (M,) at which the values of ``index`` (N,) occur first, in order.

    Beside bad images, which the next good ones stand in for, an image may have been read more than once.
    """
    _, values = index.unique(return_inverse=True)
    places = torch.full((len(index),), len(index)).scatter_reduce_(0, values, torch.arange(len(index)), "amin")
    return places[places < len(index)].sort().values
