"""Training: the learner, the loop, the run directory."""

from equicoherence.finite import NotFinite
from equicoherence.training.build import build_learner, build_views
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import load_config
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.interrupt import Interrupted
from equicoherence.training.learner import Learner, LearnerOutput
from equicoherence.training.loop import pretrain
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.run import load_run
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig

__all__ = [
    "AugmentationConfig",
    "EncoderConfig",
    "Interrupted",
    "Learner",
    "LearnerOutput",
    "NotFinite",
    "OptimConfig",
    "PretrainConfig",
    "ViewsConfig",
    "build_learner",
    "build_views",
    "load_config",
    "load_run",
    "pretrain",
]
