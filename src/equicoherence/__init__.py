"""Pretrain image encoders that keep what transformations do to an image, and measure whether any encoder does.

Public names are loaded when they are first used: importing one subpackage loads only that subpackage.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from equicoherence.quiet import quiet_threads

quiet_threads()  # before torch is imported

if TYPE_CHECKING:
    from equicoherence.adapting import adapt as adapt
    from equicoherence.coherence import CoherenceConfig as CoherenceConfig
    from equicoherence.coherence import CoherenceOutput as CoherenceOutput
    from equicoherence.coherence import CoherenceTask as CoherenceTask
    from equicoherence.comparing import compare as compare
    from equicoherence.data import Loader as Loader
    from equicoherence.data import batch_indices as batch_indices
    from equicoherence.data import open_images as open_images
    from equicoherence.embedding import embed as embed
    from equicoherence.evaluation import evaluate as evaluate
    from equicoherence.evaluation import load_model as load_model
    from equicoherence.exporting import export as export
    from equicoherence.models import Encoder as Encoder
    from equicoherence.models import Features as Features
    from equicoherence.models import SplitHead as SplitHead
    from equicoherence.paths import PathViews as PathViews
    from equicoherence.paths import Views as Views
    from equicoherence.pushing import push as push
    from equicoherence.rendering import render as render
    from equicoherence.reporting.page import report as report
    from equicoherence.training import Learner as Learner
    from equicoherence.training import PretrainConfig as PretrainConfig
    from equicoherence.training import pretrain as pretrain
    from equicoherence.training.callbacks import Callback as Callback
    from equicoherence.training.callbacks import Moment as Moment

    __version__: str

_HOMES = {
    "Callback": "training.callbacks",
    "CoherenceConfig": "coherence",
    "CoherenceOutput": "coherence",
    "CoherenceTask": "coherence",
    "Encoder": "models",
    "Features": "models",
    "Learner": "training",
    "Loader": "data",
    "Moment": "training.callbacks",
    "PathViews": "paths",
    "PretrainConfig": "training",
    "SplitHead": "models",
    "Views": "paths",
    "adapt": "adapting",
    "batch_indices": "data",
    "compare": "comparing",
    "embed": "embedding",
    "evaluate": "evaluation",
    "export": "exporting",
    "load_model": "evaluation",
    "open_images": "data",
    "pretrain": "training",
    "push": "pushing",
    "render": "rendering",
    "report": "reporting.page",
}
"""Public name -> the module that has it; above, the same for type checkers."""

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(import_module(f"equicoherence.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'equicoherence' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})


def _version() -> str:
    """Return the version of the installed package; "not installed" if it is run from its source only."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("equicoherence")
    except PackageNotFoundError:
        return "not installed"
