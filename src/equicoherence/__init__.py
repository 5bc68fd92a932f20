"""Pretrain image encoders that keep what transformations do to an image, and measure whether any encoder does."""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "CoherenceConfig": "coherence",
    "CoherenceOutput": "coherence",
    "CoherenceTask": "coherence",
    "Encoder": "models",
    "Features": "models",
    "Learner": "training",
    "Loader": "data",
    "PathViews": "paths",
    "PretrainConfig": "training",
    "SplitHead": "models",
    "Views": "paths",
    "batch_indices": "data",
    "evaluate": "evaluation",
    "open_images": "data",
    "pretrain": "training",
    "report": "reporting.page",
}


def __getattr__(name: str):  # noqa: ANN202
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"equicoherence.{_HOMES[name]}"), name)
