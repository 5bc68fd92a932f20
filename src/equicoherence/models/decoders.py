"""Decoders of the auxiliary task: from the equivariant tokens of two views to T states of the path.

All take ``z1``, ``z2`` (B, N, d_equi), the token grid (h, w), and view 2 (B, 3, S, S), already normalised, and return
(B, T, 3, S, S).
"""

from __future__ import annotations

import abc
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.upsampled_conv import UpsampledConv


class Decoder(nn.Module, abc.ABC):
    """Abstract base: decode T states at size S."""

    @abc.abstractmethod
    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        """Decode (B, T, 3, S, S)."""


class ConvDecoder(Decoder):
    """T independent decoders of one linear and four convolution layers, deliberately weak [P2, section 3].

    Tokens of both views are concatenated patch by patch. Three stages of [conv 3x3, GELU, nearest upsampling] and a
    last conv to RGB; the upsampling factors multiply to the patch size. The T decoders run as groups of one
    convolution.
    """

    def __init__(self, d_equi: int, targets: int, size: int, grid: tuple[int, int], channels: int = 96) -> None:
        super().__init__()
        self.targets = targets
        self.factors = stage_factors(size, grid[0])
        widths = [channels, max(16, channels * 2 // 3), max(16, channels // 3), max(16, channels // 3)]
        self.linear = nn.Linear(2 * d_equi, channels * targets)
        enlarged = zip(itertools.pairwise(widths), [1, *self.factors])  # each stage enlarges for the next
        self.stages = nn.ModuleList(UpsampledConv(a * targets, b * targets, f, targets) for (a, b), f in enlarged)
        self.last = UpsampledConv(widths[-1] * targets, 3 * targets, self.factors[-1], targets)

    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        x = self.linear(torch.cat([z1, z2], dim=-1)).transpose(1, 2).unflatten(2, grid)
        for stage in self.stages:
            x = F.gelu(stage(x))
        return self.last(x).unflatten(1, (self.targets, 3))


class CrossAttentionDecoder(Decoder):
    """One cross-attention block with learned positional queries [P1; the sizes are our defaults].

    Keys and values are the tokens of both views with a learned view embedding, or of view 1 alone (``other_only``),
    since a view that attends to its own tokens can degenerate to an autoencoder. Each query becomes one patch of
    pixels.
    """

    def __init__(
        self,
        d_equi: int,
        targets: int,
        size: int,
        grid: tuple[int, int],
        *,
        width: int = 256,
        heads: int = 4,
        other_only: bool = False,
    ) -> None:
        super().__init__()
        self.targets, self.patch, self.other_only = targets, size // grid[0], other_only
        tokens = grid[0] * grid[1]
        self.queries = nn.Parameter(torch.randn(targets * tokens, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.views = nn.Parameter(torch.randn(2, width) * 0.02)
        self.embed = nn.Linear(d_equi, width)
        self.normalise = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.pixels = nn.Linear(width, 3 * self.patch**2)

    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        tokens = [self.embed(z) + self.positions + view for z, view in zip((z1, z2), self.views)]
        memory = self.normalise(tokens[0] if self.other_only else torch.cat(tokens, dim=1))
        queries = self.queries.to(memory.dtype).expand(len(z1), -1, -1)
        x = queries + self.attention(queries, memory, memory, need_weights=False)[0]
        x = self.pixels(x + self.feed_forward(x))
        h, w = grid
        x = x.view(len(z1), self.targets, h, w, 3, self.patch, self.patch)
        return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(len(z1), self.targets, 3, h * self.patch, w * self.patch)


class RenderDecoder(Decoder):
    """Decode each state as view 2 rendered once more, with numbers predicted from the pooled tokens of both views.

    A small MLP gives, for each state, an affine matrix, a color matrix and a sharpening amount, all starting at the
    identity; with ``flow`` a linear map of the tokens adds a dense displacement. There is nothing to draw with, so the
    only way to lower the loss is to know the transformation. ``parts`` chooses among affine, color, blur and flow.
    """

    PARTS = ("affine", "color", "blur", "flow")

    def __init__(
        self,
        d_equi: int,
        targets: int,
        *,
        parts: tuple[str, ...] = ("affine", "color", "blur"),
        width: int = 256,
    ) -> None:
        super().__init__()
        unknown = set(parts) - set(self.PARTS)
        if unknown or not parts:
            raise ValueError(f"render parts {tuple(parts)} must be a choice of {', '.join(self.PARTS)}")
        self.targets, self.parts = targets, parts
        self.mlp = nn.Sequential(nn.Linear(2 * d_equi, width), nn.ReLU(), nn.Linear(width, targets * 19))
        self.flow = nn.Linear(2 * d_equi, targets * 2) if "flow" in parts else None
        for last in (self.mlp[2], self.flow):
            if isinstance(last, nn.Linear):  # the identity to begin with
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        numbers = self.mlp(torch.cat([z1.mean(dim=1), z2.mean(dim=1)], dim=-1)).float()
        field = None if self.flow is None else self.flow(torch.cat([z1, z2], dim=-1)).float()
        with torch.autocast(view2.device.type, enabled=False):  # pixels keep the digits of view 2
            pictures = view2.float().repeat_interleave(self.targets, dim=0)
            pictures = self._rendered(pictures, numbers.view(-1, 19), field, grid)
        return pictures.unflatten(0, (len(view2), self.targets))

    def _rendered(self, pictures: Tensor, numbers: Tensor, field: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """Render pictures (B * T, 3, S, S) by their numbers (B * T, 19) and the field (B, N, T * 2), if any."""
        affine, colors, sharpen = numbers.split([6, 12, 1], dim=1)
        if "affine" in self.parts or field is not None:
            eye = torch.eye(2, 3, device=numbers.device).flatten()
            matrix = (eye + affine * ("affine" in self.parts)).view(-1, 2, 3)
            points = affine_points(matrix, pictures.shape[-1])
            if field is not None:
                points = points + self._displacement(field, grid, pictures.shape[-1])
            # a diverging run must end with a NaN loss: grid_sample reads wild memory where coordinates are NaN or vast
            pictures = F.grid_sample(
                pictures, points.nan_to_num(0).clamp(-8, 8), align_corners=False, padding_mode="reflection"
            )
            pictures = pictures + 0 * numbers.sum(dim=1)[:, None, None, None]
        if "color" in self.parts:
            matrix = colors[:, :9].view(-1, 3, 3) + torch.eye(3, device=numbers.device)
            pictures = torch.baddbmm(colors[:, 9:, None], matrix, pictures.flatten(2)).view_as(pictures)
        if "blur" in self.parts:
            pictures = pictures + sharpen[:, :, None, None] * (pictures - soften(pictures))
        return pictures

    def _displacement(self, field: Tensor, grid: tuple[int, int], size: int) -> Tensor:
        field = field.transpose(1, 2).unflatten(2, grid).unflatten(1, (self.targets, 2)).flatten(0, 1)
        return F.interpolate(field, (size, size), mode="bilinear").permute(0, 2, 3, 1)


class SumDecoder(Decoder):
    """Add what several decoders say: `RenderDecoder` for the transformation, `ConvDecoder` for the rest."""

    def __init__(self, *decoders: Decoder) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(decoders)

    def forward(self, z1: Tensor, z2: Tensor, grid: tuple[int, int], view2: Tensor) -> Tensor:
        return torch.stack([d(z1, z2, grid, view2).float() for d in self.decoders]).sum(dim=0)


def affine_points(matrix: Tensor, size: int) -> Tensor:
    """Return the sampling grid (B, S, S, 2) of matrices (B, 2, 3), differentiable, without a batched matrix product."""
    centres = (torch.arange(size, device=matrix.device, dtype=matrix.dtype) * 2 + 1) / size - 1
    along = matrix[:, None, None, :, 0] * centres[None, None, :, None]
    down = matrix[:, None, None, :, 1] * centres[None, :, None, None] + matrix[:, None, None, :, 2]
    return along + down


def soften(pictures: Tensor) -> Tensor:
    """Blur by the binomial kernel (1, 2, 1) / 4 in both directions: about .7 pixels."""
    # as sums of neighbours: the taps are no tensor to be sent to the device, and on a CPU a convolution is slower
    sums = F.pad(pictures, [1] * 4, mode="reflect")
    for _ in range(2):
        sums = sums[..., 1:, :] + sums[..., :-1, :]
        sums = sums[..., 1:] + sums[..., :-1]
    return sums / 16


def stage_factors(size: int, grid: int) -> list[int]:
    """Return the upsampling factor after each of three stages: powers of two whose product is ``size / grid``."""
    ratio = size / grid
    steps = round(math.log2(ratio)) if ratio >= 1 else -1
    if steps < 0 or grid * 2**steps != size:
        raise ValueError(f"conv decoder: {size} px over a grid of {grid} is no power of two; choose another patch size")
    return [2 ** (steps // 3 + (stage < steps % 3)) for stage in range(3)]
