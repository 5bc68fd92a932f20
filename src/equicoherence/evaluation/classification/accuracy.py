"""Classification on frozen features: k nearest neighbours, and a linear probe at several learning rates side by
side."""

from __future__ import annotations

import torch
from torch import Tensor

from equicoherence.neighbours import knn_classes

LEARNING_RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def knn_accuracy(
    train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, *, k: int = 20, temperature: float = 0.07
) -> float:
    """Return top-1 of `knn_classes`. truth: (M,), -1 for a class that is none of ``labels``."""
    return float((knn_classes(train, labels, test, k=k, temperature=temperature) == truth).float().mean())


def linear_accuracy(
    train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, *, epochs: int = 30, seed: int = 0
) -> float:
    """Return top-1 of `linear_logits`. truth: (M,), -1 for a class that is none of ``labels``."""
    logits = linear_logits(train, labels, test, epochs=epochs, seed=seed)
    return float((logits.argmax(dim=-1) == truth).float().mean())


def linear_logits(train: Tensor, labels: Tensor, test: Tensor, *, epochs: int = 30, seed: int = 0) -> Tensor:
    """Return what a linear classifier gives, SGD with momentum .9 and a cosine, on standardised features: (M, classes).

    All learning rates train in one pass; the best on a held-out tenth of the training rows is taken (DINOv2's
    protocol).
    train, test: features (N, C) and (M, C).
    labels: (N,), from 0 without gaps.

    Raises ValueError for fewer than two training rows.
    """
    if len(train) < 2:
        raise ValueError(f"a linear probe needs at least 2 training rows, one of them held out, got {len(train)}")
    mean, std = train.mean(dim=0), train.std(dim=0) + 1e-6
    train, test = (train - mean) / std, (test - mean) / std
    classes, rates = int(labels.max()) + 1, torch.tensor(LEARNING_RATES, device=train.device)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(train), generator=generator).to(train.device)
    held, kept = order[: max(1, len(order) // 10)], order[max(1, len(order) // 10) :]
    weight = torch.zeros(train.shape[1] + 1, len(rates), classes, device=train.device)
    velocity = torch.zeros_like(weight)
    batch = min(512, len(kept))
    steps = epochs * (len(kept) // batch)
    rows = torch.cat([torch.randperm(len(kept), generator=generator) for _ in range(epochs)]).to(train.device)

    def logits(x: Tensor) -> Tensor:
        one_product = x @ weight[:-1].flatten(1)  # of all rates: a few columns each are as slow as many together
        return one_product.unflatten(1, weight.shape[1:]) + weight[-1]  # (B, rates, classes)

    for step in range(steps):
        chosen = kept[rows[step * batch : (step + 1) * batch]]
        x = train[chosen]
        error = logits(x).softmax(dim=-1)
        # gradient of cross-entropy, in closed form
        error[torch.arange(len(x), device=x.device), :, labels[chosen]] -= 1
        error /= len(x)
        gradient = torch.cat([(x.T @ error.flatten(1)).view_as(weight[:-1]), error.sum(dim=0, keepdim=True)])
        velocity.mul_(0.9).add_(gradient)
        decay = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / steps)))
        weight -= (rates * decay.to(rates))[:, None] * velocity
    best = (logits(train[held]).argmax(dim=-1) == labels[held, None]).float().mean(dim=0).argmax()
    return logits(test)[:, best]
