"""Places as maps: a head that draws a map for each point on patch tokens, its targets, and reading places off maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 2  # cells on each side of the largest that a place is read from


def heatmap_head(width: int, points: int, hidden: int, doublings: int) -> nn.Sequential:
    """Return a head from tokens (B, width, h, w) to logits (B, points, H, W), each doubling twice as fine.

    BatchNorm; for each doubling a transposed convolution (4 x 4, stride 2), BatchNorm and ReLU (Xiao, Wu, Wei 2018);
    a 1 x 1 convolution.
    """
    layers: list[nn.Module] = [nn.BatchNorm2d(width)]
    for _ in range(doublings):
        layers += [nn.ConvTranspose2d(width, hidden, 4, 2, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*layers, nn.Conv2d(width, points, 1))


def centres(count: int, device: torch.device | None = None) -> Tensor:
    """Return the middles (count,) of cells that share [0, 1] evenly."""
    return (torch.arange(count, device=device) + 0.5) / count


def gaussian_targets(places: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Return maps (B, K, H, W), each summing to 1: a Gaussian of ``sigma`` cells about places (B, K, 2), x and y as
    shares of the image's sides."""
    height, width = size
    across = (centres(width, places.device) - places[..., :1]) * (width / sigma)
    down = (centres(height, places.device) - places[..., 1:]) * (height / sigma)
    columns, rows = (-0.5 * across**2).softmax(dim=-1), (-0.5 * down**2).softmax(dim=-1)
    return rows[..., :, None] * columns[..., None, :]


def heatmap_loss(logits: Tensor, places: Tensor, scored: Tensor, sigma: float) -> Tensor:
    """Return the mean cross-entropy over positions between logits (B, K, H, W) and `gaussian_targets`, of the points
    that ``scored`` (B, K) says; zero where there are none."""
    targets = gaussian_targets(places, (logits.shape[2], logits.shape[3]), sigma)
    losses = -(targets.flatten(2) * F.log_softmax(logits.flatten(2).float(), dim=-1)).sum(dim=-1)
    return (losses * scored).sum() / scored.sum().clamp(min=1)


def read_places(logits: Tensor) -> Tensor:
    """Return the positions (B, K, 2) from logits (B, K, H, W), x and y as shares of the image's sides.

    The mean position in the 5 x 5 cells about the largest, weighted by their probability (a local soft-argmax).
    """
    height, width = logits.shape[2:]
    best = logits.flatten(2).argmax(dim=-1, keepdim=True)
    rows, columns = torch.arange(height, device=logits.device), torch.arange(width, device=logits.device)
    near_rows = (rows - best // width).abs() <= WINDOW
    near_columns = (columns - best % width).abs() <= WINDOW
    near = near_rows[..., :, None] & near_columns[..., None, :]
    weights = logits.float().masked_fill(~near, float("-inf")).flatten(2).softmax(dim=-1).unflatten(2, (height, width))
    x = (weights.sum(dim=2) * centres(width, logits.device)).sum(dim=-1)
    y = (weights.sum(dim=3) * centres(height, logits.device)).sum(dim=-1)
    return torch.stack([x, y], dim=-1)
