"""Named configurations, ``METHOD-SIZE``: ``tiny`` runs on a laptop CPU, ``small`` on one GPU, ``paper`` as published.

All have the task on; ``PretrainConfig.plain`` (``--no-coherence``) gives the method alone. Only the rivals, which are
equivariant in ways of their own, are without it. The docstring of each says hardware, time and expected scores.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from equicoherence.recipes import paper, small, tiny
from equicoherence.training.config import PretrainConfig

METHOD_NAMES = ("vicreg", "simclr", "byol", "barlow", "simsiam", "mocov3", "lejepa", "dino", "ibot", "dinov2")
RIVAL_NAMES = ("sie", "equimod", "augself", "essl")
RECIPES: dict[str, Callable[[], PretrainConfig]] = {
    f"{method}-{size.__name__.rsplit('.', 1)[-1]}": getattr(size, method)
    for size in (tiny, small, paper)
    for method in METHOD_NAMES
}
RECIPES |= {f"{rival}-tiny": getattr(tiny, rival) for rival in RIVAL_NAMES} | {"sie-paper": paper.sie}


def recipe(name: str) -> PretrainConfig:
    """Return the configuration of a recipe; a misspelt name raises ValueError with the known ones."""
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def describe(name: str) -> dict[str, Any]:
    """Return what a recipe's docstring says: summary, hardware, time, scores."""
    lines = inspect.cleandoc(RECIPES[name].__doc__ or "").splitlines()
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return {"name": name, "summary": lines[0], **fields}
