"""Classes of feature vectors by their nearest neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.folds import folds


def knn_classes(train: Tensor, labels: Tensor, test: Tensor, *, k: int = 20, temperature: float = 0.07) -> Tensor:
    """Predict classes (M,) by weighted k-NN by cosine similarity, votes weighted by exp(similarity / temperature).

    The protocol is DINO's.
    train, test: features (N, C) and (M, C).
    labels: (N,), from 0 without gaps: memory is of N and of the largest label.
    """
    train, test = F.normalize(train, dim=1), F.normalize(test, dim=1)
    classes, found = int(labels.max()) + 1, []
    for part in test.split(1024):
        similarity, nearest = (part @ train.T).topk(min(k, len(train)), dim=1)
        votes = torch.zeros(len(part), classes, device=part.device)
        votes.scatter_add_(1, labels[nearest], (similarity / temperature).exp())
        found.append(votes.argmax(dim=1))
    return torch.cat(found)


def neighbours_right(features: Tensor, labels: Tensor) -> Tensor:
    """Return whether k-NN gives each image (N,) its class, by the four of five `folds` that it is not in.

    features: (N, C).
    labels: (N,).
    """
    _, classes = labels.unique(return_inverse=True)
    right = torch.zeros(len(classes), dtype=torch.bool)
    for asked in folds(len(classes)):
        right[asked] = knn_classes(features[~asked], classes[~asked], features[asked]) == classes[asked]
    return right
