"""A memory of patch tokens, each with the shares of the classes in its patch (Balazevic et al. 2023, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.downstream.hummingbird.search import nearest
from equicoherence.downstream.tokens import BATCH, check_finite, read_ahead, room, to_pixels
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.task import Track
from equicoherence.models import Encoder
from equicoherence.sets.kinds import IGNORE

QUERIES = 4096  # compared with the memory at once


@dataclass(frozen=True)
class PatchMemory:
    """tokens: (M, C) float16, unit vectors. shares: (M, classes) float16, each row of sum 1. pixels: (classes,) of the
    training images, of each class."""

    tokens: Tensor
    shares: Tensor
    pixels: Tensor

    def recall(self, tokens: Tensor, k: int, temperature: float) -> Tensor:
        """Return the shares of classes (Q, classes) float32 that the ``k`` nearest entries give tokens (Q, C)."""
        answers = []
        for queries in F.normalize(tokens.float(), dim=-1).split(QUERIES):
            cosines, places = nearest(queries, self.tokens, k)
            weights = (cosines / temperature).softmax(dim=-1)
            shares = self.shares[places.to(self.shares.device)].to(weights.device).float()
            answers.append(torch.einsum("qk,qkc->qc", weights, shares))
        return torch.cat(answers)


@torch.no_grad()
def remember(
    encoder: Encoder,
    load: Callable[[int], tuple[np.ndarray, np.ndarray]],
    samples: Sequence[int],
    classes: int,
    most: int,
    generator: torch.Generator,
    track: Track[list[int]],
) -> PatchMemory:
    """Return the memory of the patches of samples.

    encoder: in eval mode, for images of the samples' size.
    load: sample -> image (H, W, 3) and labels (H, W), uint8, of one size for all, `IGNORE` where there is no class.
    most: patches of each sample, at most: `rarest` says which; those without any class are left out.

    Raises `NotFinite` where a token is not finite.
    """
    device = encoder.mean.device
    pairs = read_ahead(load, samples)
    totals = torch.zeros(classes, dtype=torch.long, device=device)
    finite = torch.ones((), dtype=torch.bool, device=device)
    tokens = shares = torch.empty(0)
    used = 0
    starts = [list(range(start, min(start + BATCH, len(samples)))) for start in range(0, len(samples), BATCH)]
    for batch in track(starts, "hummingbird: training images"):
        images, masks = zip(*(next(pairs) for _ in batch))
        with reading(device):
            features = encoder(to_pixels(images, device))
        counts = class_counts(torch.from_numpy(np.stack(masks)).to(device), features.grid, classes)
        totals += counts.sum(dim=(0, 1))
        chosen, kept = rarest(counts > 0, most, generator)
        found = features.patches.float().take_along_dim(chosen[..., None], dim=1)[kept]
        finite &= found.isfinite().all()
        if not used:
            most = chosen.shape[1]
            tokens = room((len(samples) * most, found.shape[1]), device)
            shares = room((len(samples) * most, classes), device)
        part = counts.take_along_dim(chosen[..., None], dim=1)[kept].float()
        tokens[used : used + len(found)] = F.normalize(found, dim=-1).half().to(tokens.device)
        shares[used : used + len(found)] = (part / part.sum(dim=1, keepdim=True)).half().to(shares.device)
        used += len(found)
    check_finite(finite, encoder)
    return PatchMemory(tokens[:used], shares[:used], totals)


def class_counts(masks: Tensor, grid: tuple[int, int], classes: int) -> Tensor:
    """Count the pixels (B, h * w, classes) of each class in the cells of a grid (h, w), of labels (B, H, W) uint8;
    `IGNORE` is left out."""
    height, width = grid
    rows = torch.arange(masks.shape[1], device=masks.device) * height // masks.shape[1]
    columns = torch.arange(masks.shape[2], device=masks.device) * width // masks.shape[2]
    images = torch.arange(len(masks), device=masks.device)
    cells = (images[:, None, None] * height + rows[:, None]) * width + columns
    labels = torch.where(masks == IGNORE, classes, masks.long())
    counts = (cells * (classes + 1) + labels).flatten().bincount(minlength=len(masks) * height * width * (classes + 1))
    return counts.view(len(masks), height * width, classes + 1)[..., :classes]


def rarest(present: Tensor, most: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return up to ``most`` patches of each image (B, m), by number, and which of them (B, m) have a class at all.

    present: (B, N, classes) bool, the classes of each patch. A patch's number is the sum over its classes of how many
    patches of its image have them, times a random share; the smallest come first, patches without a class last. Where
    ``most`` is N or more, all come in their own order.
    """
    some = present.any(dim=-1)
    if most >= present.shape[1]:
        return torch.arange(present.shape[1], device=present.device).expand(some.shape), some
    weights = (present * present.sum(dim=1, keepdim=True)).sum(dim=-1)
    numbers = weights * torch.rand(some.shape, generator=generator).to(present.device)
    chosen = torch.where(some, numbers, torch.inf).topk(most, dim=1, largest=False).indices
    return chosen, some.gather(1, chosen)
