"""Pretrain image encoders that keep what transformations do to an image, and measure whether any encoder does.

Public names are loaded when they are first used: importing one subpackage loads only that subpackage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from equicoherence.quiet import quiet_threads
from equicoherence.when_used import when_used as _when_used  # the name is that of a module here

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
    from equicoherence.version import __version__ as __version__

_MODULES = {
    "adapting": ("adapt",),
    "coherence": ("CoherenceConfig", "CoherenceOutput", "CoherenceTask"),
    "comparing": ("compare",),
    "data": ("Loader", "batch_indices", "open_images"),
    "embedding": ("embed",),
    "evaluation": ("evaluate", "load_model"),
    "exporting": ("export",),
    "models": ("Encoder", "Features", "SplitHead"),
    "paths": ("PathViews", "Views"),
    "pushing": ("push",),
    "rendering": ("render",),
    "reporting.page": ("report",),
    "training": ("Learner", "PretrainConfig", "pretrain"),
    "training.callbacks": ("Callback", "Moment"),
    "version": ("__version__",),
}
__getattr__, __dir__ = _when_used(__name__, _MODULES)

__all__ = [name for names in _MODULES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]
