"""Pretrain image encoders that keep what transformations do to an image, and measure whether any encoder does."""

__version__ = "0.1.0"

from equicoherence.coherence import CoherenceConfig, CoherenceOutput, CoherenceTask
from equicoherence.evaluation import evaluate
from equicoherence.models import Encoder, Features, SplitHead
from equicoherence.paths import PathViews, Views
from equicoherence.report.page import report
from equicoherence.training import Learner, PretrainConfig, pretrain

__all__ = [
    "CoherenceConfig",
    "CoherenceOutput",
    "CoherenceTask",
    "Encoder",
    "Features",
    "Learner",
    "PathViews",
    "PretrainConfig",
    "SplitHead",
    "Views",
    "evaluate",
    "pretrain",
    "report",
]
