"""Homographies: from four or more pairs of points, and what an image shows through one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.devices import beside, float64

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
"""Corners in order: upper left, upper right, lower right, lower left."""


def find_homography(source: Tensor, target: Tensor) -> Tensor:
    """Return H (B, 3, 3) float64, last entry 1, that takes points (B, N, 2) to others, N at least 4.

    The direct linear transformation: exact for 4 points of which no three lie on a line, least squares in the algebraic
    error for more (Hartley, Zisserman 2004, section 4.1). Points should be of the order of 1.
    """
    x, y = float64(source).unbind(dim=-1)
    u, v = float64(target).unbind(dim=-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    first = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], dim=-1)
    second = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], dim=-1)
    rows, sides = torch.cat([first, second], dim=1), torch.cat([u, v], dim=1)[..., None]
    if rows.shape[1] == 8:
        entries = torch.linalg.solve(rows, sides)
    else:
        entries = torch.linalg.solve(rows.mT @ rows, rows.mT @ sides)
    matrix = torch.cat([entries[..., 0], torch.ones_like(entries[:, :1, 0])], dim=1)
    return beside(matrix.view(-1, 3, 3), source)


def apply_homography(matrix: Tensor, points: Tensor) -> Tensor:
    """Return where H (B, 3, 3) takes points (B, N, 2)."""
    moved = points.to(matrix.dtype) @ matrix[:, :, :2].mT + matrix[:, None, :, 2]
    return moved[..., :2] / moved[..., 2:]


def look_through(images: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Return what images (B, 3, H, W) show, (B, 3, size, size), in quadrilaterals: read once, bilinearly.

    matrix: (B, 3, 3) takes the unit square, of which the result is the picture, to pixels of the images, (0, 0) being
    the upper left corner of the first pixel.
    """
    middles = (torch.arange(size, device=images.device) + 0.5) / size
    rows, columns = torch.meshgrid(middles, middles, indexing="ij")
    unit = torch.stack([columns, rows], dim=-1).view(1, -1, 2).expand(len(images), -1, -1)
    places = apply_homography(matrix, unit)
    sides = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
    points = (2 * places / sides - 1).to(images.dtype).view(-1, size, size, 2)
    return F.grid_sample(images, points, mode="bilinear", padding_mode="border", align_corners=False)


def draw_quadrilaterals(
    count: int, sides: tuple[int, int], patch: int, reach: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw squares of ``patch`` pixels in images of ``sides`` (h, w), and their corners moved (DeTone et al. 2016).

    Returns the upper left corners (count, 2), x and y in whole pixels, and the displacements (count, 4, 2) in pixels,
    each uniform in [-reach, reach]; moved corners stay in the image. Raises ValueError where it is too small for that.
    """
    height, width = sides
    margin = int(-(-reach // 1))
    room = torch.tensor([width - patch - 2 * margin, height - patch - 2 * margin])
    if (room < 0).any():
        raise ValueError(f"an image of {width} x {height} pixels has no room for a patch of {patch} moved by {reach}")
    corners = margin + (torch.rand(count, 2, generator=generator) * (room + 1)).floor()
    return corners, (torch.rand(count, 4, 2, generator=generator) * 2 - 1) * reach


def cut_pairs(images: Tensor, corners: Tensor, displacements: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Return the squares of images (B, 3, H, W) at ``corners`` (B, 2), and what the moved corners (B, 4, 2) span, both
    (B, 3, patch, patch)."""
    square = torch.tensor(SQUARE, device=images.device).expand(len(images), 4, 2)
    straight = corners[:, None] + square * patch
    first = find_homography(square, straight)
    second = find_homography(square, straight + displacements)
    return look_through(images, first, patch), look_through(images, second, patch)


def corners_of_map(moves: Tensor) -> Tensor:
    """Return the displacements (B, 4, 2) of the corners of the unit square that maps (B, 2, h, w) of displacements of
    its cells' middles stand for: those of the homography that fits a map best."""
    height, width = moves.shape[2:]
    middles = cell_middles(height, width, moves.device).view(1, -1, 2).expand(len(moves), -1, -1)
    matrix = find_homography(middles, middles + moves.flatten(2).mT)
    square = torch.tensor(SQUARE, device=moves.device, dtype=matrix.dtype).expand(len(moves), 4, 2)
    return (apply_homography(matrix, square) - square).float()


def map_of_corners(displacements: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (B, 2, h, w): how far the homography that moves the corners of the unit square by (B, 4, 2) moves the
    middles of its cells."""
    square = torch.tensor(SQUARE, device=displacements.device).expand(len(displacements), 4, 2)
    middles = cell_middles(*size, displacements.device).view(1, -1, 2).expand(len(displacements), -1, -1)
    moved = apply_homography(find_homography(square, square + displacements), middles)
    return (moved - middles).float().mT.unflatten(2, size)


def cell_middles(height: int, width: int, device: torch.device) -> Tensor:
    """Return the middles (height, width, 2), x and y, of cells that share the unit square evenly."""
    rows, columns = (torch.arange(count, device=device).add(0.5).div(count) for count in (height, width))
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([across, down], dim=-1)


def corner_error(predicted: Tensor, displacements: Tensor) -> Tensor:
    """Return the mean distance (B,) between corners (B, 4, 2)."""
    return (predicted - displacements).norm(dim=-1).mean(dim=-1)
