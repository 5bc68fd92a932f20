"""Evaluation of frozen encoders: the engine, tasks on given images and poses, and what they read.

The public names are loaded when they are first asked for: declarations of tasks need none of them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equicoherence.evaluation.classification.accuracy import knn_accuracy, linear_accuracy
    from equicoherence.evaluation.model import FrozenModel, load_model
    from equicoherence.evaluation.probes import mlp_probe
    from equicoherence.evaluation.registry import make_tasks
    from equicoherence.evaluation.run import evaluate
    from equicoherence.evaluation.task import main_rows
    from equicoherence.ridge import r2_score, ridge_probe

_HOMES = {
    "FrozenModel": "evaluation.model",
    "evaluate": "evaluation.run",
    "knn_accuracy": "evaluation.classification.accuracy",
    "linear_accuracy": "evaluation.classification.accuracy",
    "load_model": "evaluation.model",
    "main_rows": "evaluation.task",
    "make_tasks": "evaluation.registry",
    "mlp_probe": "evaluation.probes",
    "r2_score": "ridge",
    "ridge_probe": "ridge",
}
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"equicoherence.{_HOMES[name]}"), name)
