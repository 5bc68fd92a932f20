"""Training: the learner, the loop, the run directory.

Each name is loaded when it is first used: a configuration needs neither timm nor accelerate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from equicoherence.when_used import when_used

if TYPE_CHECKING:
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

_MODULES = {
    "finite": ("NotFinite",),
    "training.build": ("build_learner", "build_views"),
    "training.config": ("PretrainConfig",),
    "training.config_file": ("load_config",),
    "training.encoder_config": ("EncoderConfig",),
    "training.interrupt": ("Interrupted",),
    "training.learner": ("Learner", "LearnerOutput"),
    "training.loop": ("pretrain",),
    "training.optim_config": ("OptimConfig",),
    "training.run": ("load_run",),
    "training.views_config": ("AugmentationConfig", "ViewsConfig"),
}
__getattr__, __dir__ = when_used(__name__, _MODULES)

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
