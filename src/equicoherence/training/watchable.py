"""The setting ``watch``: what can be measured on held-out images during training."""

from __future__ import annotations

from equicoherence.paths.registry import PATHS
from equicoherence.training.comma_lists import listed

KNN = "knn"
AUTO = "auto"
"""The rotation and, with class labels, k-NN: as far as the images that are held out allow."""


def watchable() -> list[str]:
    """Return the names of what can be measured: k-NN, and every path."""
    return [KNN, *PATHS]


def watched_names(text: str) -> list[str]:
    """Return the names in a setting ``watch``; those that `AUTO` stands for."""
    return [KNN, "rotation"] if text == AUTO else listed(text)
