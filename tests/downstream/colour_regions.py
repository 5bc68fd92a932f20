"""A segmentation set of two colours, and an encoder small enough to train."""

from __future__ import annotations

import numpy as np
import torch

from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.models import Encoder
from equicoherence.sets import IGNORE, SegmentationSet

VIT = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48, "num_heads": 3}


class ColourRegions(SegmentationSet):
    """Red to the left of an edge, blue to the right; a column of the edge is ignored; green is nowhere."""

    classes = ("left", "right", "nowhere")

    def __init__(self, count: int, seed: int, *, sizes: tuple[tuple[int, int], ...] = ((32, 32),)) -> None:
        generator = np.random.default_rng(seed)
        self._edges = generator.integers(2, 7, count) / 8
        self._sizes = [sizes[index % len(sizes)] for index in range(count)]
        self._noise = generator.integers(0, 2**31, count)

    def __len__(self) -> int:
        return len(self._edges)

    def name(self, index: int) -> str:
        return f"edge {index}"

    def image(self, index: int) -> np.ndarray:
        (height, width), edge = self._sizes[index], self._edge(index)
        image = np.random.default_rng(self._noise[index]).integers(0, 60, (height, width, 3), dtype=np.uint8)
        image[:, :edge, 0] += 190
        image[:, edge:, 2] += 190
        return image

    def mask(self, index: int) -> np.ndarray:
        edge = self._edge(index)
        mask = np.zeros(self._sizes[index], dtype=np.uint8)
        mask[:, edge:] = 1
        mask[:, edge] = IGNORE
        return mask

    def _edge(self, index: int) -> int:
        return round(self._edges[index] * self._sizes[index][1])


def small_model(name: str = "vit_tiny_patch16_224", args: dict[str, object] | None = None) -> FrozenModel:
    """Return an untrained encoder as a model to evaluate: a transformer of two blocks, or another."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(name, VIT if args is None else args).eval()
    return FrozenModel("small", "small", encoder, 32, 36)
