"""Probes: light regressors and classifiers on frozen features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRENGTHS = tuple(10.0**e for e in range(-5, 4))


def r2_score(predicted: Tensor, target: Tensor) -> Tensor:
    """Return R2 = 1 - RSS / TSS of each column of (N, P); the mean of ``target`` as a constant predictor scores 0."""
    residual = (target - predicted).square().sum(dim=0)
    total = (target - target.mean(dim=0)).square().sum(dim=0)
    return 1 - residual / total.clamp_min(1e-12)


def ridge_probe(train: Tensor, target: Tensor, test: Tensor, held_out: float = 0.2) -> Tensor:
    """Predict (M, P) for ``test`` (M, C) by ridge regression from ``train`` (N, C) to ``target`` (N, P).

    The strength is chosen on a random ``held_out`` share of the training rows (the same ones each time), then all are
    used.
    """
    train, test = _standardise(train, test)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).to(train.device)
    train, target = train[order], target[order]
    cut = int(len(train) * (1 - held_out))
    scores = [r2_score(p, target[cut:]).mean() for p in _ridge(train[:cut], target[:cut], train[cut:], STRENGTHS)]
    best = STRENGTHS[int(torch.stack(scores).argmax())]
    return _ridge(train, target, test, (best,))[0]


def mlp_probe(train: Tensor, target: Tensor, test: Tensor, *, epochs: int = 16, seed: int = 0) -> Tensor:
    """Predict (M, P) by an MLP with two hidden layers of 1024 ReLU units, as SIE's evaluation has it.

    AdamW 1e-3 with a cosine to zero, weight decay 1e-2, dropout .2, batches of 256, features and targets standardised.
    """
    train, test = _standardise(train, test)
    with torch.random.fork_rng(devices=[train.device] if train.is_cuda else []):
        torch.manual_seed(seed)
        net = nn.Sequential(
            *(nn.Linear(train.shape[1], 1024), nn.ReLU(), nn.Dropout(0.2)),
            *(nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(0.2)),
            nn.Linear(1024, target.shape[1]),
        ).to(train.device)
        return _fit(net, train, target, test, epochs=epochs, lr=1e-3)


class AttentivePair(nn.Module):
    """One learned query pools the tokens of each image of a pair; a linear map reads both."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(channels))
        self.linear = nn.Linear(2 * channels, outputs)

    def forward(self, pairs: Tensor) -> Tensor:
        """Map token pairs (B, 2, N, C) to (B, outputs)."""
        pairs = pairs.float()
        weights = ((pairs @ self.query) / pairs.shape[-1] ** 0.5).softmax(dim=-1)
        pooled = (weights[..., None, :] @ pairs).squeeze(-2)
        return self.linear(pooled.flatten(1))


def attentive_probe(train: Tensor, target: Tensor, test: Tensor, *, epochs: int = 20, seed: int = 0) -> Tensor:
    """Predict (M, P) from token pairs (N, 2, T, C) by an attentive probe: what pooling loses, tokens keep."""
    mean, std = train.float().mean(dim=(0, 1, 2)), train.float().std(dim=(0, 1, 2)) + 1e-6
    train, test = ((x - mean.to(x.dtype)) / std.to(x.dtype) for x in (train, test))
    with torch.random.fork_rng(devices=[train.device] if train.is_cuda else []):
        torch.manual_seed(seed)
        net = AttentivePair(train.shape[-1], target.shape[1]).to(train.device)
        return _fit(net, train, target, test, epochs=epochs, lr=5e-3)


def _fit(net: nn.Module, train: Tensor, target: Tensor, test: Tensor, *, epochs: int, lr: float) -> Tensor:
    mean, std = target.mean(dim=0), target.std(dim=0) + 1e-8
    scaled = (target - mean) / std
    batch = min(256, len(train))
    steps = epochs * (len(train) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rows = torch.cat([torch.randperm(len(train)) for _ in range(epochs)]).to(train.device)
    bf16 = torch.autocast(train.device.type, torch.bfloat16)
    net.train()
    for step in range(steps):
        chosen = rows[step * batch : (step + 1) * batch]
        with bf16:
            predicted = net(train[chosen])
        F.mse_loss(predicted.float(), scaled[chosen]).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    net.eval()
    with torch.no_grad(), bf16:
        out = torch.cat([net(part).float() for part in test.split(2048)])
    return out * std + mean


def _standardise(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    mean, std = train.mean(dim=0), train.std(dim=0) + 1e-6
    return (train - mean) / std, (test - mean) / std


def _ridge(train: Tensor, target: Tensor, test: Tensor, strengths: tuple[float, ...]) -> list[Tensor]:
    """Solve for every strength from one eigendecomposition, in float64."""
    x, y = train.double(), target.double()
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    x = x - x_mean
    values, vectors = torch.linalg.eigh(x.T @ x)
    projected = vectors.T @ (x.T @ (y - y_mean))
    moved = (test.double() - x_mean) @ vectors
    return [(moved @ (projected / (values.clamp_min(0) + s * len(x))[:, None]) + y_mean).float() for s in strengths]
