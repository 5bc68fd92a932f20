"""Source images with smaller copies: what the renderer reads from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.compiled import compiled_kernel
from equicoherence.paths.threads import for_each

TOGETHER = 16  # images whose means a thread takes at a time
SLACK = 0.05  # of a level: a level 2 % smaller than needed still serves, such as one whose sides were rounded


@dataclass(frozen=True)
class Pyramid:
    """Source images and their copies shrunk by powers of the square root of 2.

    Each output is read bilinearly from the last level that is not smaller than it needs, which leaves less than a
    factor of 1.4 of minification unfiltered (nearer to torchvision's antialias, at every factor, than the next level,
    which blurs). Under perspective the minification differs from pixel to pixel, and so does the level: one for the
    whole output would blur its near side or alias on its far side. It is built once a batch and shared by all its
    views.
    An accelerator, which should not wait to learn which level an image needs, gets all levels side by side in one
    atlas; a CPU makes the levels that are read, while it reads them.

    images: (B, C, H, W), uint8, or float in [0, 1]. sizes: (height, width, left edge in the atlas) of each level.
    atlas: (B, C, H, total width) float32 in the images' own range, None on a CPU.
    spline: whether the atlas holds the knots of quintic B-splines, from 0 to 255, that `round_band` has made, for
        images in that range: one level, two rows and columns more before it and three after it, on a CPU too.
    """

    images: Tensor
    sizes: tuple[tuple[int, int, int], ...]
    atlas: Tensor | None = None
    spline: bool = False

    @classmethod
    def build(cls, images: Tensor, size: int, smallest_view: float = 0.5) -> Pyramid:
        """Plan the levels needed to render ``images`` at ``size`` x ``size`` pixels, and make them on an accelerator.

        images: (B, C, H, W), uint8, uint16, or float in [0, 1], C at least 2. ``smallest_view``: views that shrink the
        whole image to less than this share of the output side are no longer fully antialiased.
        """
        if images.ndim != 4 or images.shape[1] < 2:
            raise ValueError(f"images must be (B, C, H, W) of 2 channels or more, got {tuple(images.shape)}")
        if images.dtype == torch.uint16:
            images = images.float() / torch.iinfo(images.dtype).max
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise ValueError(f"images must be uint8, uint16, or float in [0, 1], got {images.dtype}")
        height, width = images.shape[2:]
        levels = max(1, 1 + round(2 * math.log2(max(1.0, max(height, width) / (size * smallest_view)))))
        sizes, left = [], 0
        for level in range(levels):
            h, w = (max(1, round(side * 2 ** (-level / 2))) for side in (height, width))
            sizes.append((h, w, left))
            left += w
        pyramid = cls(images.detach(), tuple(sizes))
        return pyramid if images.device.type == "cpu" else pyramid.with_atlas()

    def with_atlas(self) -> Pyramid:
        """Return the pyramid with all its levels made, side by side: the form an accelerator renders from."""
        _, width, left = self.sizes[-1]
        atlas = torch.zeros(len(self), self.channels, self.sizes[0][0], left + width, device=self.images.device)
        for level, (h, w, start) in enumerate(self.sizes):
            atlas[:, :, :h, start : start + w] = self.level(level)
        return Pyramid(self.images, self.sizes, atlas)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | Tensor) -> Pyramid:
        """Keep some of the images; ``rows`` is a slice or an index tensor."""
        if isinstance(rows, slice):
            atlas = None if self.atlas is None else self.atlas[rows]
            return replace(self, images=self.images[rows], atlas=atlas)
        atlas = None if self.atlas is None else self.atlas.index_select(0, rows)
        return replace(self, images=self.images.index_select(0, rows), atlas=atlas)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.images.shape[1]

    @property
    def compiled(self) -> bool:
        """Whether the compiled kernel reads it: on a CPU bytes, and what splines read there, of three channels."""
        bytes_or_splines = self.spline or self.images.dtype == torch.uint8
        fits = self.images.device.type == "cpu" and self.channels == 3 and bytes_or_splines
        return fits and compiled_kernel() is not None

    @property
    def scale(self) -> float:
        """Return the factor that brings pixels to [0, 1]; color matrices carry it, so no pass over pixels is spent."""
        return 1 / 255 if self.spline or self.images.dtype == torch.uint8 else 1.0

    def level(self, level: int) -> Tensor:
        """Return the images at ``level``, (B, C, height, width) float32 in the images' own range."""
        if level == 0:
            return self.images.float()
        return _shrunk(self.images, self.sizes[level][:2]).float()

    def needed(self, matrix: Tensor, size: int, affine: bool = False) -> Tensor:
        """Return the levels (...), not yet whole, that outputs of ``size`` pixels with (..., 3, 3) need at depth 1."""
        height, width, _ = self.sizes[0]
        magnification = geometry.magnification_at_depth_1(matrix, affine)
        shrink = math.sqrt(height * width) / size / magnification  # source pixels per output pixel
        return 2 * torch.log2(shrink.clamp_min(1e-6)) + SLACK

    def level_at(self, needed: Tensor, depth: Tensor | None = None) -> Tensor:
        """Return the levels (...) to read from at ``depth`` (...), above 0, None for 1.

        An output pixel covers ``depth ** -3`` times the area that it covers at depth 1 (the map's determinant), and a
        level halves the area: so the level is that many, three times the binary logarithm, below the one at depth 1.
        """
        if depth is not None:
            needed = needed - 3 * torch.log2(depth)
        return needed.floor().clamp_(0, len(self.sizes) - 1).long()

    def packed(self, nearest: Tensor, farthest: Tensor) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Pack byte images for the CPU kernel, at the levels from ``nearest`` to ``farthest``, (B, N), of each output.

        Returns all words in one array, the knots in another where splines are read (words are none then), and where
        those of each image and level start, (B, levels), -1 where no output reads that level.
        """
        if self.spline:
            assert self.atlas is not None
            knots = self.atlas.permute(0, 2, 3, 1).contiguous()
            starts = np.arange(0, knots[..., 0].numel(), knots[0, ..., 0].numel())
            return np.empty(0, np.uint32), knots.numpy().reshape(-1), starts[:, None]
        first, last = nearest.numpy(), farthest.numpy()
        starts, spans = np.full((len(self), len(self.sizes)), -1, np.int64), []
        for k, (height, width, _) in enumerate(self.sizes):
            read = np.flatnonzero(((first <= k) & (k <= last)).any(axis=1))
            if len(read):
                spans.append((k, torch.from_numpy(read), (height + 1) * (width + 1)))
        words = np.empty(sum(len(which) * span for _, which, span in spans), np.uint32)
        begin = 0
        for k, which, span in spans:
            size = self.sizes[k][:2]
            pixels = self.images if len(which) == len(self) else self.images[which]
            if k:
                pixels = _shrunk(pixels, size)
            end = begin + len(which) * span
            packed = words[begin:end].reshape(len(which), size[0] + 1, size[1] + 1)
            compiled_kernel().pack(pixels.contiguous().numpy(), packed)
            starts[which.numpy(), k] = np.arange(begin, end, span)
            begin = end
        return words, None, starts

    def mean(self, base: Tensor) -> Tensor:
        """Return (B, C) mean colors in [0, 1] inside the upright bounding boxes of base frames (B, 3, 3)."""
        return self.means(geometry.bounding_boxes(base)[:, None])[:, 0]

    def means(self, boxes: Tensor) -> Tensor:
        """Return (B, N, C) mean colors in [0, 1] inside boxes (B, N, 4); see `geometry.bounding_boxes`."""
        if self.atlas is not None or self.images.dtype != torch.uint8 or not self.compiled:
            return box_means(self.level(0), boxes) * self.scale
        found = torch.empty(*boxes.shape[:2], 3)

        def work(rows: slice) -> None:
            compiled_kernel().box_means(
                self.images[rows].contiguous().numpy(), boxes[rows].contiguous().numpy(), found[rows].numpy()
            )

        for_each(work, [slice(start, start + TOGETHER) for start in range(0, len(self), TOGETHER)])
        return found


def _shrunk(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Shrink with antialiasing; bytes stay bytes where torch has that: on a CPU, to more than one pixel."""
    if images.dtype == torch.uint8 and (images.device.type != "cpu" or size == (1, 1)):
        made = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
        return made.round().byte() if images.device.type == "cpu" else made
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def box_means(pixels: Tensor, boxes: Tensor) -> Tensor:
    """Return (B, N, C) mean colors of pixels (B, C, H, W) inside boxes (B, N, 4); see `geometry.bounding_boxes`."""
    x, half_width, y, half_height = boxes.unbind(-1)
    columns = _overlap(x, half_width, pixels.shape[3])  # (B, N, W)
    rows = _overlap(y, half_height, pixels.shape[2])
    lines = rows[:, None] @ pixels  # (B, C, N, W): all boxes in one pass over the pixels
    return (lines * columns[:, None]).sum(dim=-1).transpose(1, 2)


def _overlap(centre: Tensor, reach: Tensor, pixels: int) -> Tensor:
    """Return (B, N, pixels) weights, summing to 1: how much of each pixel lies within ``reach`` of ``centre``."""
    edges = torch.linspace(-1, 1, pixels + 1, device=centre.device)
    low = edges[:-1].maximum((centre - reach)[..., None])
    high = edges[1:].minimum((centre + reach)[..., None])
    weights = (high - low).clamp_min(0)
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-12)
