"""The Hugging Face Hub, which holds published weights: asked once whether it is there, so that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.utils import get_session

PATIENCE = 5.0  # seconds; the Hub's own client tries for more than a minute


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
    """Take what is inside from the cache alone, where the Hub does not answer: at once, and not after its retries."""
    before = constants.HF_HUB_OFFLINE
    if not before and not hub_answers():
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
