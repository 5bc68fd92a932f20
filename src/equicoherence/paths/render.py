"""Numbers to pixels: one warp per output image, antialiased where it shrinks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths import color, geometry
from equicoherence.paths.blur import gaussian_blur
from equicoherence.paths.state import State

Border = Literal["content", "reflection", "zeros"]
BORDERS: tuple[Border, ...] = ("content", "reflection", "zeros")
CHUNK = 32  # images a CPU renders at a time, so that one chunk's intermediates stay in the cache


@dataclass(frozen=True)
class Pyramid:
    """Source images with copies shrunk by powers of the square root of 2, side by side in one atlas.

    Reading each output pixel from the level that matches its image's minification costs one bilinear lookup and
    leaves less than a factor of 1.2 of minification unfiltered. It is built once a batch and shared by all its views.

    atlas: (B, 3, H, W_total) float32 in [0, 255] (the color matrix divides, so that no pass over the pixels is spent).
    sizes: (height, width, left edge) of each level.
    """

    atlas: Tensor
    sizes: tuple[tuple[int, int, int], ...]

    @classmethod
    def build(cls, images: Tensor, size: int, smallest_view: float = 0.5) -> Pyramid:
        """Build the levels needed to render ``images`` at ``size`` x ``size`` pixels.

        images: (B, 3, H, W), uint8, or float in [0, 1]. ``smallest_view``: views that shrink the whole image to less
        than this share of the output side are no longer fully antialiased.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (B, 3, H, W), got {tuple(images.shape)}")
        height, width = images.shape[2:]
        levels = max(1, 1 + round(2 * math.log2(max(1.0, max(height, width) / (size * smallest_view)))))
        sizes, left = [], 0
        for level in range(levels):
            h, w = (max(1, round(side * 2 ** (-level / 2))) for side in (height, width))
            sizes.append((h, w, left))
            left += w
        atlas = torch.zeros(len(images), 3, height, left, device=images.device)
        atlas[..., :width] = images if images.dtype == torch.uint8 else images * 255
        for h, w, start in sizes[1:]:
            atlas[:, :, :h, start : start + w] = F.interpolate(images, (h, w), mode="bilinear", antialias=True) * (
                1 if images.dtype == torch.uint8 else 255
            )
        return cls(atlas, tuple(sizes))

    def __len__(self) -> int:
        return len(self.atlas)

    def __getitem__(self, rows: slice) -> Pyramid:
        return Pyramid(self.atlas[rows], self.sizes)

    def mean(self, base: Tensor) -> Tensor:
        """Return (B, 3) mean colors in [0, 1] inside the upright bounding boxes of base frames (B, 3, 3)."""
        height, width, _ = self.sizes[0]
        reach = base[:, :2, :2].abs().sum(dim=2)
        columns = _overlap(base[:, 0, 2], reach[:, 0], width)
        rows = _overlap(base[:, 1, 2], reach[:, 1], height)
        lines = (rows[:, None, None, :] @ self.atlas[..., :width]).squeeze(2)
        return (lines @ columns[:, :, None]).squeeze(2) / 255


def render(
    pyramid: Pyramid,
    base: State,
    path: State | None = None,
    *,
    size: int,
    border: Border = "content",
    mean: Tensor | None = None,
) -> Tensor:
    """Render the state ``path`` of the base images ``base`` of the sources: (B, 3, size, size) float32 in [0, 1].

    ``base`` cuts the base image out of the source; ``path`` acts on that base image. They are multiplied first, so
    each pixel is read once. ``border`` says what lies beyond the base image: ``content`` shows what the source has
    there (mirrored beyond the source), ``reflection`` mirrors the base image, ``zeros`` is black (and so shows the
    angle in its corners). ``mean`` may carry ``pyramid.mean(base.geometry)`` when several states share it.
    """
    if border not in BORDERS:
        raise ValueError(f"border {border!r} is unknown; choose one of {', '.join(BORDERS)}")
    if mean is None:
        mean = pyramid.mean(base.geometry)
    path = State.identity(len(pyramid), pyramid.atlas.device) if path is None else path
    state = base.then(path)
    chunk = CHUNK * max(1, 64 * 64 // size**2) if pyramid.atlas.device.type == "cpu" else len(pyramid)
    chunk = max(chunk, 4)
    parts = [
        _render(pyramid[rows], base.geometry[rows], path.geometry[rows], _rows(state, rows), mean[rows], size, border)
        for rows in (slice(start, start + chunk) for start in range(0, len(pyramid), chunk))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _render(
    pyramid: Pyramid, base: Tensor, path: Tensor, state: State, mean: Tensor, size: int, border: Border
) -> Tensor:
    if border == "content":
        grid, outside = _apply(state.geometry, _pixel_centres(size, base.device)), None
    else:
        frame = _apply(path, _pixel_centres(size, base.device))
        outside = (frame.abs().amax(dim=1, keepdim=True) > 1) if border == "zeros" else None
        grid = _apply_to(base, _reflect(frame))
    pixels = F.grid_sample(
        pyramid.atlas,
        _to_atlas(pyramid, grid, geometry.magnification(state.geometry), size),
        align_corners=False,
        padding_mode="border",
    )
    scaled = torch.cat([state.color[..., :3] / 255, state.color[..., 3:]], dim=-1)
    pixels = color.apply(scaled, pixels, mean).clamp_(0, 1)
    if outside is not None:
        pixels.masked_fill_(outside, 0)
    if state.sigma_bound > 0:
        pixels = gaussian_blur(pixels, state.sigma, state.sigma_bound)
    if state.threshold is not None:
        pixels = torch.where(pixels >= state.threshold[:, None, None, None], 1 - pixels, pixels)
    return pixels


def _rows(state: State, rows: slice) -> State:
    threshold = None if state.threshold is None else state.threshold[rows]
    return State(state.geometry[rows], state.color[rows], state.sigma[rows], threshold, state.sigma_bound)


def _pixel_centres(size: int, device: torch.device) -> Tensor:
    return (torch.arange(size, device=device, dtype=torch.float32) * 2 + 1) / size - 1


def _apply(matrix: Tensor, centres: Tensor) -> Tensor:
    """Return (B, 2, S, S): where the pixels of an S x S output lie in the input of ``matrix``."""
    along = matrix[:, :2, :1] * centres  # (B, 2, S)
    down = matrix[:, :2, 1:2] * centres + matrix[:, :2, 2:]
    return along[:, :, None, :] + down[:, :, :, None]


def _apply_to(matrix: Tensor, points: Tensor) -> Tensor:
    """Map points (B, 2, S, S) by matrices (B, 3, 3)."""
    flat = torch.baddbmm(matrix[:, :2, 2:], matrix[:, :2, :2], points.flatten(2))
    return flat.view_as(points)


def _reflect(points: Tensor) -> Tensor:
    """Mirror coordinates at the edges -1 and 1, as often as it takes."""
    return ((points - 1).remainder(4) - 2).abs_() - 1


def _to_atlas(pyramid: Pyramid, grid: Tensor, magnification: Tensor, size: int) -> Tensor:
    """Turn source coordinates (B, 2, S, S) into a `grid_sample` grid (B, S, S, 2) over the level that fits each sample."""
    height, width, _ = pyramid.sizes[0]
    total = pyramid.atlas.shape[-1]
    shrink = math.sqrt(height * width) / size / magnification  # source pixels per output pixel
    level = (2 * torch.log2(shrink.clamp_min(1e-6))).round().clamp_(0, len(pyramid.sizes) - 1).long()
    table = torch.tensor(pyramid.sizes, dtype=torch.float32, device=grid.device)[level]  # (B, 3)
    rows, columns, left = (table[:, i, None, None] for i in range(3))
    out = torch.empty(len(grid), *grid.shape[2:], 2, device=grid.device)
    x, y = _reflect(grid).unbind(dim=1)
    # clamped to pixel centres of the level, so that a neighbouring level never bleeds in
    x = (x.mul_(columns / 2)).add_((columns - 1) / 2).clamp_min_(0).minimum(columns - 1)
    y = (y.mul_(rows / 2)).add_((rows - 1) / 2).clamp_min_(0).minimum(rows - 1)
    torch.add(x * (2 / total), (2 * left + 1) / total - 1, out=out[..., 0])
    torch.add(y * (2 / height), 1 / height - 1, out=out[..., 1])
    return out


def _overlap(centre: Tensor, reach: Tensor, pixels: int) -> Tensor:
    """Return (B, pixels) weights, summing to 1: how much of each pixel lies within ``reach`` of ``centre``."""
    edges = torch.linspace(-1, 1, pixels + 1, device=centre.device)
    low = edges[:-1].maximum((centre - reach)[:, None])
    high = edges[1:].minimum((centre + reach)[:, None])
    weights = (high - low).clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)
