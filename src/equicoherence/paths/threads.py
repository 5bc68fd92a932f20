"""Work shared by a CPU's threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier
from typing import TypeVar

import torch

Piece = TypeVar("Piece")


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
        torch.get_num_threads()  # else the thread's first parallel operator would set it, to the default
        torch.set_num_threads(1)  # of this thread, but also the default of threads to come: hence the line below
        ready.wait()

    for _ in range(threads):
        pool.submit(start)
    ready.wait()
    torch.set_num_threads(threads)
    return pool
