"""Where the points of one view of an object are seen in another, from depth and pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equicoherence.sets.kinds import Surface
from equicoherence.sets.rendered_keypoints import project, visible

MIRROR = np.array([-1.0, 1.0, 1.0])
"""Across the object's plane x = 0."""


@dataclass(frozen=True)
class SeenPlaces:
    """Of the cells of a grid on a first view, N, as in `TruePlaces`, places as shares of the second view's sides."""

    first: np.ndarray
    second: np.ndarray
    places: np.ndarray
    true: np.ndarray
    mirrors: np.ndarray
    mirrored: np.ndarray


def turn_between(rotations: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the angles (...,) in degrees between rotations (..., 3, 3) and others."""
    traces = (rotations * others).sum(axis=(-2, -1))
    return np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))


def seen_places(
    first: Surface, rotation: np.ndarray, second: Surface, other: np.ndarray, grid: tuple[int, int]
) -> SeenPlaces:
    """Return where the cells of a grid (h, w) on a first view are seen in a second one of the same object.

    rotation, other: (3, 3) of the object in the two views. A cell stands for the point at the centre of the pixel that
    holds the cell's centre.
    """
    rows, columns = centre_pixels(first, grid)
    on_first, on_second = first.mask[rows, columns], second.mask[centre_pixels(second, grid)]
    points = object_points(first, rotation, rows, columns)
    (places, true), (mirrors, mirrored) = (_seen(each, second, other) for each in (points, points * MIRROR))
    return SeenPlaces(on_first, on_second, places, on_first & true, mirrors, on_first & mirrored)


def centre_pixels(view: Surface, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (N,) and columns (N,) of the pixels that hold the centres of the cells of a grid (h, w)."""
    sides = ((2 * np.arange(count) + 1) * side // (2 * count) for count, side in zip(grid, view.depth.shape))
    rows, columns = np.meshgrid(*sides, indexing="ij")
    return rows.ravel(), columns.ravel()


def object_points(view: Surface, rotation: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the points (N, 3) that pixels of a view show, in the object's own coordinates."""
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=-1)
    camera = view.depth[rows, columns, None] * (pixels @ np.linalg.inv(view.intrinsics).T)
    world = (camera - view.extrinsics[:3, 3]) @ view.extrinsics[:3, :3]
    return world @ rotation


def _seen(points: np.ndarray, view: Surface, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where a view shows points (N, 3) of the object, (N, 2) as shares of its sides, and which (N,) it shows.

    A point is shown where it lies in the image, and the object's surface in its pixel is as far away as the point, to
    within two pixels' width.
    """
    places, distances = project(points @ rotation.T, view.intrinsics, view.extrinsics)
    focal, (height, width) = float(view.intrinsics[0, 0]), view.depth.shape
    shown = visible(places, distances, view.depth, focal)
    columns, rows = np.floor(places.T).astype(int)
    rows, columns = np.where(shown, rows, 0), np.where(shown, columns, 0)
    shown &= view.mask[rows, columns] & (view.depth[rows, columns] < distances + 2 * distances / focal)
    return places / (width, height), shown
