"""Labels handed on from the first frame of a video to the others, by the likeness of patch tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.downstream.largest import top

TILE = 12
"""Tokens of a target frame, up and across, whose neighbourhoods are compared in one product of matrices."""


@dataclass(frozen=True)
class Propagation:
    """temperature: of the softmax over the most similar tokens. top_k: how many those are, over all frames together.

    radius: how far they may be in tokens, by ``shape``: at most that up, down and sideways (square), or nearer than
    that in a straight line (disk). frames: before the one that is labelled, in which they are looked for, beside the
    first. first_everywhere: whether the first frame is searched as a whole, whatever the radius. padded: whether frames
    that would be before the first are copies of it, each searched too; else they are left out, and the first frame is
    searched once.

    Beside `propagate`. stretch: whether the values of each label are stretched over 0 to 1 before the largest is taken.
    first_mask: how the first mask is brought to the tokens: by the nearest pixel, or each label bilinearly.
    first_scored: whether parts are scored in the first frame too, as its tokens' labels, enlarged, have them.
    """

    temperature: float
    top_k: int
    radius: int
    frames: int
    shape: Literal["square", "disk"] = "square"
    first_everywhere: bool = False
    padded: bool = False
    stretch: bool = True
    first_mask: Literal["nearest", "bilinear"] = "nearest"
    first_scored: bool = False


SETTINGS = {
    "dino": Propagation(0.1, 5, 12, 7),
    "cropmae": Propagation(
        0.7,
        7,
        20,
        20,
        shape="disk",
        first_everywhere=True,
        padded=True,
        stretch=False,
        first_mask="bilinear",
        first_scored=True,
    ),
}
"""As DINO (Caron et al. 2021) and CropMAE (Eymael et al. 2024) evaluate; their numbers are not comparable."""


@dataclass(frozen=True)
class Tile:
    """queries: (Q,), tokens of a rectangle, by number. rows, columns: of a larger one, cut at the border, that holds
    all tokens within the radius of any of them; keys: (K,), their numbers. far: (Q, 1, K) bool, pairs further apart."""

    queries: Tensor
    rows: slice
    columns: slice
    keys: Tensor
    far: Tensor


@torch.no_grad()
def propagate(tokens: Tensor, labels: Tensor, how: Propagation) -> Tensor:
    """Return the soft labels (T, L, h, w) float32 of all frames of a video, those of the first as they are given.

    tokens: (T, h, w, C) of the frames, of any length. labels: (L, h, w) of the first frame, one channel for each.
    A token's labels are the mean of those of the ``top_k`` most similar tokens, weighted by the softmax of their
    cosines over the temperature (Jabri, Owens, Efros 2020; as DINO evaluates). Exact, though only tokens near enough
    are compared, tile by tile, so that memory does not grow with the frame.
    """
    count, height, width, channels = tokens.shape
    device = tokens.device
    tiles = tiled(height, width, how, device)
    # the first frame for good, and behind it a ring of the latest
    slots = 1 + (how.frames if how.padded else min(how.frames, count - 1))
    seen = torch.zeros(slots, height, width, channels, device=device)
    known = torch.zeros(slots, height * width, len(labels), device=device)
    soft = torch.empty(count, height * width, len(labels), device=device)
    soft[0] = labels.to(device).float().flatten(1).T
    for frame in range(count):
        target = F.normalize(tokens[frame].float(), dim=-1)
        if frame:
            used = slots if how.padded else min(frame, slots)
            weights, sources = nearest(target, seen[:used], tiles, how)
            table = known[:used].flatten(0, 1)
            soft[frame] = F.embedding_bag(sources, table, mode="sum", per_sample_weights=weights)
        slot: int | slice = 1 + (frame - 1) % how.frames
        if not frame:
            slot = slice(slots) if how.padded else 0
        seen[slot], known[slot] = target, soft[frame]
    return soft.permute(0, 2, 1).unflatten(2, (height, width))


def nearest(target: Tensor, seen: Tensor, tiles: Sequence[Tile], how: Propagation) -> tuple[Tensor, Tensor]:
    """Return for each token of a frame the weights (N, k) of the most similar ones in others, and their numbers there.

    target: (h, w, C), seen: (S, h, w, C), unit vectors. Numbers count the tokens of all S frames, frame after frame.
    """
    flat = target.flatten(0, 1)
    weights = flat.new_zeros(len(flat), how.top_k)  # 0 for those that few neighbours leave empty
    sources = torch.zeros(weights.shape, dtype=torch.long, device=flat.device)
    numbers = torch.arange(len(seen) * len(flat), device=flat.device).view(len(seen), -1)
    whole = int(how.first_everywhere)  # how many frames are searched everywhere
    for tile in tiles:
        around = seen[whole:, tile.rows, tile.columns].flatten(0, 2)
        cosines = flat[tile.queries] @ around.T
        cosines.unflatten(1, (len(seen) - whole, len(tile.keys))).masked_fill_(tile.far, -torch.inf)
        tokens = numbers[whole:, tile.keys].flatten()
        if whole:
            cosines = torch.cat([flat[tile.queries] @ seen[0].flatten(0, 1).T, cosines], dim=1)
            tokens = torch.cat([numbers[0], tokens])
        values, places = top(cosines, min(how.top_k, len(tokens)))
        k = values.shape[1]
        weights[tile.queries, :k] = (values / how.temperature).softmax(dim=-1)
        sources[tile.queries, :k] = tokens[places]
    return weights, sources


def tiled(height: int, width: int, how: Propagation, device: torch.device) -> list[Tile]:
    """Cut a grid of tokens into tiles of at most `TILE` by `TILE`, nearly equal in size."""
    tiles, radius = [], how.radius
    columns = torch.arange(width, device=device)
    rows = torch.arange(height, device=device)
    for up in rows.tensor_split(-(-height // TILE)):
        for across in columns.tensor_split(-(-width // TILE)):
            high, wide = _around(up, height, radius), _around(across, width, radius)
            query, key = torch.cartesian_prod(up, across), torch.cartesian_prod(rows[high], columns[wide])
            apart = query[:, None] - key
            far = apart.abs().amax(dim=-1) > radius
            if how.shape == "disk":
                far = apart.square().sum(dim=-1) >= radius**2
            tiles.append(
                Tile(query[:, 0] * width + query[:, 1], high, wide, key[:, 0] * width + key[:, 1], far[:, None])
            )
    return tiles


def _around(span: Tensor, length: int, radius: int) -> slice:
    """Return the places along an axis of ``length`` that are within the radius of any in ``span``."""
    return slice(max(0, int(span[0]) - radius), min(length, int(span[-1]) + radius + 1))
