"""The predictor of a method, conditioned as in training, for `retrieval` in the space of its embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equicoherence.evaluation.poses.quaternions import NAMES
from equicoherence.evaluation.poses.retrieval import ELEMENTS
from equicoherence.methods import Method
from equicoherence.paths.standard import ChosenTheta
from equicoherence.training.learner import Learner

EMBEDDED = 256  # objects at a time
OWN, OWN_WITH_HUES = "own", "own, hues too"  # names in results; the first receives only the rotation


class OwnPredictor(nn.Module):
    """`Method.embed` and `Method.predict` of a learner that was trained on poses, each on many views.

    Theta is selected and scaled as in training, so it includes hues if it did in training.
    """

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.method, self.standard = learner.method, learner.standard

    @property
    def name(self) -> str:
        """Its name in results: a predictor that receives hues can find views by them, so it cannot be compared with one
        that reads the rotation alone."""
        chosen = next(module for module in self.standard.modules() if isinstance(module, ChosenTheta))
        rotation_alone = max(chosen.columns.tolist()) < len(NAMES)  # the rotation's columns come first
        return OWN if rotation_alone else OWN_WITH_HUES

    @torch.no_grad()
    def embed(self, z_equi: Tensor) -> Tensor:
        """Return the embeddings (O, V, D) of z_equi (O, V, d_equi), of the same floating type."""
        parts = z_equi.split(EMBEDDED)
        embedded = [self.method.embed(part.flatten(0, 1).float()).to(z_equi.dtype) for part in parts]
        return torch.cat(embedded).unflatten(0, z_equi.shape[:2])

    @torch.no_grad()
    def forward(self, first: Tensor, theta: Tensor) -> Tensor:
        """Map embeddings (N, D) and theta (N, T, P) of `view_changes` to the predicted embeddings (N, T, D)."""
        told = self.standard(theta)
        targets, width = told.shape[1], first.shape[1]
        # SIE's predictor multiplies each parameter, and 1, with each feature
        size = max(1, ELEMENTS // (targets * width * (told.shape[2] + 1)))
        parts = []
        for embedding, change in zip(first.split(size), told.split(size)):
            predicted = self.method.predict(embedding.repeat_interleave(targets, dim=0), change.flatten(0, 1))
            parts.append(predicted.unflatten(0, (-1, targets)))
        return torch.cat(parts)


def has_predictor(method: Method) -> bool:
    """Return whether a method's class defines a predictor."""
    return type(method).predict is not Method.predict
