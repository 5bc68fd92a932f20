"""How a CPU cuts a batch: chunks that fit its cache, in each the images that read the same pyramid levels together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

PIXELS = 2**19  # output pixels in a chunk, enough that the time goes into pixels and not into calls
Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Chunk:
    """Images ``rows`` of a batch, to be rendered in another order.

    order: indices into the batch, those of like levels together, or None for the order of the batch. back: where in
    ``order`` each of the rows is. groups: from, to (positions in the chunk), and the level each output reads.
    """

    rows: slice
    order: Tensor | None
    back: Tensor | None
    groups: tuple[tuple[int, int, tuple[int, ...]], ...]


def chunks(levels: Tensor, size: int) -> list[Chunk]:
    """Cut a batch whose N outputs of ``size`` x ``size`` pixels read ``levels`` (B, N)."""
    together = max(1, PIXELS // (size**2 * levels.shape[1]))
    if len(levels) == 0:
        return []
    found, which = levels.unique(dim=0, return_inverse=True)
    kinds = [tuple(row) for row in found.tolist()]
    result = []
    for start in range(0, len(levels), together):
        rows = slice(start, min(start + together, len(levels)))
        if len(kinds) == 1:
            result.append(Chunk(rows, None, None, ((0, rows.stop - start, kinds[0]),)))
            continue
        order = which[rows].argsort(stable=True)
        counts = which[rows].bincount(minlength=len(kinds)).tolist()
        groups, at = [], 0
        for kind, count in zip(kinds, counts):
            if count:
                groups.append((at, at + count, kind))
                at += count
        result.append(Chunk(rows, order + start, order.argsort(), tuple(groups)))
    return result


def for_each(work: Callable[[Piece], None], pieces: Iterable[Piece]) -> None:
    """Call ``work`` on each piece, on as many threads as `torch.get_num_threads`; raise what a call raises.

    Each call has one thread to itself: small operators gain nothing from sharing one. Pieces must not write to the
    same memory. Gradients are off, as they are in the renderer.
    """
    pieces, threads = list(pieces), torch.get_num_threads()
    if threads == 1 or len(pieces) == 1:
        for piece in pieces:
            work(piece)
        return
    mode = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad  # modes are a thread's own
    for _ in _pool(os.getpid(), threads).map(mode()(work), pieces):
        pass


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return a pool whose operators are single-threaded; keyed by process, because threads do not survive a fork."""
    pool, ready = ThreadPoolExecutor(threads, "equicoherence-render"), Barrier(threads + 1)

    def start() -> None:
        torch.set_num_threads(1)  # of this thread, but also the default of threads to come: hence the line below
        ready.wait()

    for _ in range(threads):
        pool.submit(start)
    ready.wait()
    torch.set_num_threads(threads)
    return pool
