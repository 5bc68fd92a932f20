"""Evaluation of frozen encoders."""

from equicoherence.evaluation.classification.accuracy import knn_accuracy, linear_accuracy
from equicoherence.evaluation.evaluate import evaluate
from equicoherence.evaluation.model import FrozenModel, load_model
from equicoherence.evaluation.probes import mlp_probe, r2_score, ridge_probe
from equicoherence.evaluation.transformation.regression import TransformationConfig, transformation_regression

__all__ = [
    "FrozenModel",
    "TransformationConfig",
    "evaluate",
    "knn_accuracy",
    "linear_accuracy",
    "load_model",
    "mlp_probe",
    "r2_score",
    "ridge_probe",
    "transformation_regression",
]
