"""Probes: light regressors and classifiers on frozen features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.evaluation.fit import fit, precision_of, reading
from equicoherence.ridge import CUT, floored, split_images, standardise

HELD_OUT = 0.1  # share of the images on which a fitted probe is calibrated


def mlp_probe(
    train: Tensor, target: Tensor, test: Tensor, *, draws: int = 1, epochs: int = 20, seed: int = 0
) -> Tensor:
    """Predict (M, P) by an MLP with two hidden layers of 1024 ReLU units, as SIE's evaluation has it.

    AdamW 1e-3 with a cosine to zero, weight decay 1e-2, dropout .1, batches of 256, features and targets standardised,
    features cut at 5 standard deviations. A tenth of the images is held out of the fit, and on it the prediction is
    calibrated, each parameter apart: shrunk towards the mean of the targets by the factor in [0, 1] that fits best, 0
    where nothing generalises. draws: rows of each image, as `split_images` takes them; an epoch sees as many rows as
    there are images.
    """
    return mlp_probes(train, target, test, [seed], draws=draws, epochs=epochs)[0]


def mlp_probes(
    train: Tensor, target: Tensor, test: Tensor, seeds: Sequence[int], *, draws: int = 1, epochs: int = 20
) -> list[Tensor]:
    """Return what `mlp_probe` predicts for each seed; the features are standardised once for all of them."""
    train, test = standardise(train, test)
    if precision_of(train.device) == "bfloat16":  # what the first product turns each batch to in any case
        train, test = train.bfloat16(), test.bfloat16()
    predicted = []
    with torch.random.fork_rng(devices=[train.device] if train.is_cuda else []):
        for seed in seeds:
            torch.manual_seed(seed)
            net = nn.Sequential(
                *(nn.Linear(train.shape[1], 1024), nn.ReLU(), nn.Dropout(0.1)),
                *(nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(0.1)),
                nn.Linear(1024, target.shape[1]),
            ).to(train.device)
            predicted.append(_fit(net, train, target, test, draws=draws, epochs=epochs, lr=1e-3))
    return predicted


class AttentivePair(nn.Module):
    """One learned query pools the tokens of each image of a pair, standardised by mean and std (C,); a linear map
    reads both."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, outputs: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(len(mean)))
        self.linear = nn.Linear(2 * len(mean), outputs)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, pairs: Tensor) -> Tensor:
        """Map token pairs (B, 2, N, C) to (B, outputs)."""
        pairs = ((pairs.float() - self.mean) / self.std).clamp(-CUT, CUT)
        weights = ((pairs @ self.query) / pairs.shape[-1] ** 0.5).softmax(dim=-1)
        pooled = (weights[..., None, :] @ pairs).squeeze(-2)
        return self.linear(pooled.flatten(1))


def attentive_probe(
    train: Tensor, target: Tensor, test: Tensor, *, draws: int = 1, epochs: int = 20, seed: int = 0
) -> Tensor:
    """Predict (M, P) from token pairs (N, 2, T, C) by an attentive probe: what pooling loses, tokens keep.

    Calibrated as `mlp_probe`. The tokens may be bfloat16: batches alone are turned to float32.
    """
    rows = train.flatten(0, 2).split(2**16)
    mean = torch.stack([part.float().sum(dim=0) for part in rows]).sum(dim=0) / sum(map(len, rows))
    spread = torch.stack([(part.float() - mean).square().sum(dim=0) for part in rows]).sum(dim=0)
    std = floored((spread / sum(map(len, rows))).sqrt())
    with torch.random.fork_rng(devices=[train.device] if train.is_cuda else []):
        torch.manual_seed(seed)
        net = AttentivePair(mean, std, target.shape[1]).to(train.device)
        return _fit(net, train, target, test, draws=draws, epochs=epochs, lr=5e-3)


def calibrate(predicted: Tensor, held: Tensor, target: Tensor, centre: Tensor) -> Tensor:
    """Shrink ``predicted`` (M, P) towards ``centre`` (P,), by the factor in [0, 1] that fits ``held`` best.

    held: predictions (H, P) of the held-out ``target`` (H, P). A factor of 0 is the constant predictor.
    """
    moved = held - centre
    factor = (moved * (target - centre)).sum(dim=0) / moved.square().sum(dim=0).clamp_min(1e-12)
    return centre + factor.clamp(0, 1) * (predicted - centre)


def _fit(net: nn.Module, train: Tensor, target: Tensor, test: Tensor, *, draws: int, epochs: int, lr: float) -> Tensor:
    device = train.device
    kept, held = (rows.to(device) for rows in split_images(len(train), draws, HELD_OUT))
    mean, std = target[kept].mean(dim=0), target[kept].std(dim=0) + 1e-8
    scaled = (target - mean) / std
    batch = min(256, len(kept))
    steps = max(1, epochs * len(kept) // (draws * batch))
    passes = -(-steps * batch // len(kept))
    rows = kept[torch.cat([torch.randperm(len(kept)) for _ in range(passes)]).to(device)]

    def loss(step: int) -> Tensor:
        chosen = rows[step * batch : (step + 1) * batch]
        with reading(device):
            predicted = net(train[chosen])
        return F.mse_loss(predicted.float(), scaled[chosen])

    net.train()
    fit(loss, [{"params": net.parameters(), "lr": lr}], steps, head=net)
    net.eval()
    with torch.no_grad(), reading(device):
        predicted, checked = (
            torch.cat([net(part).float() for part in x.split(1024)]) * std + mean for x in (test, train[held])
        )
    return calibrate(predicted, checked, target[held], mean)
