"""Block-wise masks of patch tokens, for masked-image objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

ROUNDS = 6  # rectangles per mask; what they leave open (2 % of the masked tokens) grows around the first of them
SMALLEST = 4.0  # tokens in a rectangle


@dataclass(frozen=True)
class Masking:
    """How patch tokens are masked: in blocks, as in BEiT, iBOT and DINOv2 (whose numbers are the defaults).

    grid: rows and columns of the tokens. probability: share of the sample views that are masked at all. ratio: lowest
    and highest share of tokens masked in those. aspect: range of height / width of a rectangle, log-uniform.
    """

    grid: tuple[int, int]
    probability: float = 0.5
    ratio: tuple[float, float] = (0.1, 0.5)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)

    def __post_init__(self) -> None:
        if len(self.grid) != 2 or min(self.grid) < 1:
            raise ValueError(f"grid must be (rows, columns), each at least 1, got {self.grid}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must lie in [0, 1], got {self.probability}")
        if not 0 <= self.ratio[0] <= self.ratio[1] <= 1:
            raise ValueError(f"ratio must be (low, high) in [0, 1] with low <= high, got {self.ratio}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect must be (low, high) above 0 with low <= high, got {self.aspect}")


@dataclass(frozen=True)
class Masks:
    """The masks of both views of a batch, N patch tokens each.

    tokens: (2, B, N) bool, True where masked. indices: (M,) long, the masked tokens' places among all 2 * B * N.
    weights: (M,) float32, one over the masked tokens of their sample view, so that every masked sample view weighs 1.
    """

    tokens: Tensor
    indices: Tensor
    weights: Tensor

    @classmethod
    def of(cls, tokens: Tensor, device: torch.device | str = "cpu") -> Masks:
        """Find the masked tokens of (2, B, N) masks on a CPU, then send all to ``device``, which never waits."""
        if tokens.dtype != torch.bool or tokens.ndim != 3 or tokens.device.type != "cpu":
            raise ValueError(
                f"masks must be a (2, B, N) bool tensor on the CPU, got {tuple(tokens.shape)} {tokens.dtype} "
                f"on {tokens.device}"
            )
        indices = tokens.flatten().nonzero().flatten()
        counts = tokens.sum(dim=-1)
        weights = counts.flatten().float().reciprocal()[indices // max(1, tokens.shape[-1])]
        return cls(*(_sent(t, device) for t in (tokens, indices, weights)))


@torch.no_grad()
def block_masks(masking: Masking, count: int, generator: torch.Generator) -> Tensor:
    """Draw masks (count, N) bool on the CPU, True where masked, N = rows * columns.

    Exactly ``round(probability * count)`` of them, a random choice, mask anything. Their ratios are spread evenly over
    ``masking.ratio`` (one uniform draw in each of as many equal intervals, as in DINOv2) and each masks exactly
    ``round(ratio * N)`` tokens. A mask is a union of rectangles (BEiT, algorithm 1): each has a uniform area up to
    what is left to mask; what is left after the last grows around the first.
    """
    generator = host_generator(generator)
    tokens = masking.grid[0] * masking.grid[1]
    masks = torch.zeros(count, tokens, dtype=torch.bool)
    chosen = torch.randperm(count, generator=generator)[: round(masking.probability * count)]
    place = (torch.arange(len(chosen)) + torch.rand(len(chosen), generator=generator)) / len(chosen)
    ratio = masking.ratio[0] + (masking.ratio[1] - masking.ratio[0]) * place
    if len(chosen):
        masks[chosen] = _blocks(masking, (ratio * tokens).round(), generator)
    return masks


def host_generator(generator: torch.Generator) -> torch.Generator:
    """Return ``generator`` where it is a CPU's, else a CPU's seeded from its state, and move it on.

    The state of an accelerator's generator is kept by the host: nothing waits for the device.
    """
    if generator.device.type == "cpu":
        return generator
    state = int.from_bytes(generator.get_state().numpy().tobytes(), "little")
    torch.rand(1, generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(np.random.SeedSequence(state).generate_state(1, np.uint64)[0] >> 1))


def _blocks(masking: Masking, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Return masks (S, N) of ``wanted`` (S,) tokens each, one rectangle of all of them at a time."""
    height, width = masking.grid
    y, x = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    low, high = (math.log(bound) for bound in masking.aspect)
    uniform = torch.rand(ROUNDS, 4, len(wanted), generator=generator)
    covered = torch.zeros(len(wanted), height, width, dtype=torch.bool)
    distance, left = torch.zeros(len(wanted), height * width), wanted
    for number, (size, shape, down, right) in enumerate(uniform):
        area = left.clamp_max(SMALLEST).lerp(left, size)
        h = (area * torch.exp(low + (high - low) * shape)).sqrt().round().clamp(1, height).minimum(left)
        w = (area / h).round().minimum((left / h).floor()).clamp(1, width)  # at most what is left: none is too many
        top, start = (down * (height - h + 1)).floor(), (right * (width - w + 1)).floor()
        beyond_y = torch.maximum(top[:, None] - y, y - (top + h - 1)[:, None])[:, :, None]  # <= 0 in the rectangle
        beyond_x = torch.maximum(start[:, None] - x, x - (start + w - 1)[:, None])[:, None, :]
        covered |= (beyond_y <= 0) & (beyond_x <= 0)
        left = wanted - covered.flatten(1).count_nonzero(dim=1)
        if number == 0:
            distance = torch.maximum(beyond_y, beyond_x).flatten(1)
    covered = covered.flatten(1)
    distance = (distance + torch.rand(distance.shape, generator=generator)).masked_fill_(covered, torch.inf)
    nearest = distance.topk(int(left.max()), dim=1, largest=False).indices
    return covered | torch.zeros_like(covered).scatter_(1, nearest, torch.arange(nearest.shape[1]) < left[:, None])


def _sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy to ``device`` without waiting for it; a GPU reads pinned memory on its own."""
    pinned = tensor.pin_memory() if torch.device(device).type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)
