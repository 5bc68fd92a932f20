"""Evaluation of frozen encoders: the engine, tasks on given images and poses, and what they read.

The public names are loaded when they are first asked for: declarations of tasks need none of them.
"""

from typing import TYPE_CHECKING

from equicoherence.when_used import when_used

if TYPE_CHECKING:
    from equicoherence.evaluation.classification.accuracy import knn_accuracy, linear_accuracy
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.evaluation.model import load_model
    from equicoherence.evaluation.probes import mlp_probe
    from equicoherence.evaluation.registry import make_tasks
    from equicoherence.evaluation.run import evaluate
    from equicoherence.evaluation.task import main_rows
    from equicoherence.ridge import r2_score, ridge_probe

_MODULES = {
    "evaluation.frozen_model": ("FrozenModel",),
    "evaluation.model": ("load_model",),
    "evaluation.run": ("evaluate",),
    "evaluation.classification.accuracy": ("knn_accuracy", "linear_accuracy"),
    "evaluation.task": ("main_rows",),
    "evaluation.registry": ("make_tasks",),
    "evaluation.probes": ("mlp_probe",),
    "ridge": ("r2_score", "ridge_probe"),
}
__getattr__, __dir__ = when_used(__name__, _MODULES)

__all__ = [
    "FrozenModel",
    "evaluate",
    "knn_accuracy",
    "linear_accuracy",
    "load_model",
    "main_rows",
    "make_tasks",
    "mlp_probe",
    "r2_score",
    "ridge_probe",
]
