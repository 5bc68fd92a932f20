"""Points of one image found in another by the likeness of features at every pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS = 32  # enlarged at once
MAPS = 2**26  # numbers of enlarged maps at once


def features_at(tokens: Tensor, points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the features (K, C) that tokens (h, w, C), enlarged bilinearly to an image of ``shape`` (H, W), have at
    pixels (K, 2), x and y from 0."""
    sides = torch.tensor([shape[1], shape[0]], device=tokens.device)
    places = (2 * points.to(tokens.device) + 1) / sides - 1
    found = F.grid_sample(
        tokens.permute(2, 0, 1)[None], places[None, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[0, :, 0].T


def nearest_pixels(tokens: Tensor, queries: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the pixels (K, 2), x and y, of an image of ``shape`` (H, W) whose features are nearest to queries (K, C)
    by cosine, where tokens (h, w, C) are enlarged bilinearly to the image.

    Exact, though the features of all pixels are never there at once: products and enlarging are both linear, so that
    the products with the tokens are enlarged, and the lengths are summed a few channels at a time.
    """
    maps = tokens.permute(2, 0, 1)
    squares = torch.zeros(shape, device=tokens.device)
    for part in maps.split(CHANNELS):
        squares += F.interpolate(part[None], shape, mode="bilinear")[0].square().sum(dim=0)
    lengths = squares.sqrt().clamp(min=1e-12)
    found = []
    for part in queries.split(max(1, MAPS // (shape[0] * shape[1]))):
        products = torch.einsum("kc,chw->khw", part, maps)
        cosines = F.interpolate(products[None], shape, mode="bilinear")[0] / lengths
        found.append(cosines.flatten(1).argmax(dim=1))
    places = torch.cat(found)
    return torch.stack([places % shape[1], places // shape[1]], dim=1)
