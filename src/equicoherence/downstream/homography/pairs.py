"""PatchPairs of patches whose homography is known, made from photographs (DeTone, Malisiewicz, Rabinovich 2016)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from equicoherence.downstream.homography.plane_maps import SQUARE, cut_pairs, draw_quadrilaterals
from equicoherence.downstream.palette import magnified
from equicoherence.downstream.tokens import read_ahead, resize_image, to_pixels
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import spread
from equicoherence.sets.kinds import SampleSet

REACH = 1 / 4
"""Largest move of a corner along x and y, in sides of the patch: 32 of 128 pixels."""
PATCH, TRUE, SAID = (255, 255, 255), (40, 220, 60), (255, 60, 40)  # colors of outlines


@dataclass(frozen=True)
class PatchPairs:
    """images: (B, 3, H, W) in [0, 1]. corners: (B, 2), upper left ones of the first squares in pixels. first, second:
    (B, 3, P, P) squares. displacements: (B, 4, 2), of the corners, in sides of the square."""

    images: Tensor
    corners: Tensor
    first: Tensor
    second: Tensor
    displacements: Tensor


def draw_pair(pairs: PatchPairs, number: int, predicted: Tensor, patch: int) -> Picture:
    """Return the image with the square (white), the true quadrilateral (green) and the predicted one (red), and both
    squares that the encoder saw, 240 pixels high."""
    image, high = to_bytes(pairs.images[number]), 240
    scale = high / image.shape[0]
    shown = magnified(image, (high, round(image.shape[1] * scale)))
    pen = ImageDraw.Draw(shown)
    square = torch.tensor(SQUARE)
    for moves, color in ((0, PATCH), (pairs.displacements[number], TRUE), (predicted, SAID)):
        corners = (pairs.corners[number] + (square + moves) * patch) * scale
        pen.line([tuple(corner) for corner in [*corners.tolist(), corners[0].tolist()]], fill=color, width=3)
    squares = [np.array(magnified(to_bytes(each[number]), (high, high))) for each in (pairs.first, pairs.second)]
    return Picture(np.array(shown), dict(zip(("first patch", "second patch"), squares)))


def turns(images: SampleSet, count: int) -> list[int]:
    """Return which images ``count`` pairs are made of: spread over the set, in turn where there are fewer images."""
    chosen = spread(len(images), count)
    return [chosen[number % len(chosen)] for number in range(count)]


def in_order(images: SampleSet, size: tuple[int, int], order: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the images that ``order`` numbers, squashed to a size."""
    return read_ahead(lambda index: resize_image(images.image(index), size), order)


def draw_patch_pairs(
    images: Iterator[np.ndarray],
    size: tuple[int, int],
    patch: int,
    generator: torch.Generator,
    batch: int,
    device: torch.device,
) -> Iterator[PatchPairs]:
    """Yield a pair of each image, a batch at a time; the last may be smaller."""
    while loaded := list(islice(images, batch)):
        corners, moves = draw_quadrilaterals(len(loaded), size, patch, REACH * patch, generator)
        pixels = to_pixels(loaded, device)
        corners, moves = corners.to(device), moves.to(device)
        first, second = cut_pairs(pixels, corners, moves, patch)
        yield PatchPairs(pixels, corners, first, second, moves / patch)


def to_bytes(image: Tensor) -> np.ndarray:
    """Return an image (3, H, W) in [0, 1] as (H, W, 3) uint8."""
    return (image.permute(1, 2, 0) * 255).round().byte().cpu().numpy()
