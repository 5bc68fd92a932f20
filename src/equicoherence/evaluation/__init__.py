"""Evaluation of frozen encoders: the engine, tasks on given images and poses, and what they read.

The public names are loaded when they are first asked for: declarations of tasks need none of them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equicoherence.evaluation.classification.accuracy import knn_accuracy, linear_accuracy
    from equicoherence.evaluation.model import FrozenModel, load_model
    from equicoherence.evaluation.probes import mlp_probe, r2_score, ridge_probe
    from equicoherence.evaluation.registry import make_tasks
    from equicoherence.evaluation.run import evaluate
    from equicoherence.evaluation.task import main_rows

_ROOM = {
    "FrozenModel": "model",
    "evaluate": "run",
    "knn_accuracy": "classification.accuracy",
    "linear_accuracy": "classification.accuracy",
    "load_model": "model",
    "main_rows": "task",
    "make_tasks": "registry",
    "mlp_probe": "probes",
    "r2_score": "probes",
    "ridge_probe": "probes",
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
    if name not in _ROOM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOM[name]}"), name)
