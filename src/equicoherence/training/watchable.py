"""The setting ``watch``: what can be measured on held-out images during training."""

from __future__ import annotations

from equicoherence.paths.registry import PATHS

KNN = "knn"


def watchable() -> list[str]:
    """Return the names of what can be measured: k-NN, and every path."""
    return [KNN, *PATHS]
