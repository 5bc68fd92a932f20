"""Pretrain image encoders that keep what transformations do to an image, and measure whether any encoder does."""

# ruff: noqa: E402
__version__ = "0.1.0"

from equicoherence.quiet import quiet_threads

quiet_threads()  # before torch is imported

from equicoherence.coherence import CoherenceConfig, CoherenceOutput, CoherenceTask
from equicoherence.data import Loader, batch_indices, open_images
from equicoherence.evaluation import evaluate
from equicoherence.models import Encoder, Features, SplitHead
from equicoherence.paths import PathViews, Views
from equicoherence.reporting.page import report
from equicoherence.training import Learner, PretrainConfig, pretrain

__all__ = [
    "CoherenceConfig",
    "CoherenceOutput",
    "CoherenceTask",
    "Encoder",
    "Features",
    "Learner",
    "Loader",
    "PathViews",
    "PretrainConfig",
    "SplitHead",
    "Views",
    "batch_indices",
    "evaluate",
    "open_images",
    "pretrain",
    "report",
]
