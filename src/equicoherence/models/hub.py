"""The Hugging Face Hub: tested once whether it answers, so that offline runs do not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.utils import get_session

PATIENCE = 5.0  # seconds; the Hub's own client tries for more than a minute
_lock = threading.Lock()
_inside, _before = 0, False  # uses of `hub_or_cache` that are under way, and what the outermost of them found


def hub_answers(patience: float = PATIENCE) -> bool:
    """Return whether the Hub answers within so many seconds, whatever it says."""
    answered = threading.Event()

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=patience)
        except Exception:  # of the client that huggingface_hub has, which differs by version: not reached
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # the look-up of a name knows no time limit
    asking.start()
    asking.join(patience)
    return answered.is_set()


@contextmanager
def hub_or_cache() -> Iterator[None]:
    """Take what is inside from the cache alone, where the Hub does not answer: at once, and not after its retries.

    Uses of several threads may overlap: the last that ends puts back what the first found.
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = constants.HF_HUB_OFFLINE
        if not constants.HF_HUB_OFFLINE and not hub_answers():
            constants.HF_HUB_OFFLINE = True
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                constants.HF_HUB_OFFLINE = _before
