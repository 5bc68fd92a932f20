"""Pictures of what turns, with its rotation vectors: rendered objects under one light, and a painted sphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from equicoherence.drawing import Painter
from equicoherence.rendering.camera import CAMERA
from equicoherence.rendering.latent import interpolate, rotation_matrix
from equicoherence.rendering.meshes import find_meshes
from equicoherence.rendering.presets import find_preset

TIMES = (1 / 3, 2 / 3)
LIGHT = (0.6, 0.35, 0.4, 0.1)


@dataclass(frozen=True)
class Turned:
    """Pairs of views and the states between them, at TIMES."""

    vectors: Tensor
    """(N, 3), the rotation from view 1 to view 2: axis times angle, x right, y down, z away from the viewer."""
    views: tuple[Tensor, Tensor]
    """(N, 3, S, S) each, in [-1, 1]."""
    states: Tensor
    """(N, 2, 3, S, S)."""


def turned_objects(objects: int, turn: float, size: int = 64) -> Turned:
    """Render so many objects of each procedural category in a pair of poses each; light, floor and hues stay the same.

    turn: largest rotation about each axis of the world, degrees.
    """
    painter, scene, rng = Painter(size), find_preset("3diebench").scene, np.random.default_rng(0)
    camera, vectors, pictures = CAMERA.extrinsics()[:3, :3], [], []
    for entry in find_meshes("procedural", objects=objects).entries:
        mesh = entry.load()
        first, second = (np.array([*np.radians(rng.uniform(-turn, turn, 3)), *LIGHT]) for _ in range(2))
        between = [interpolate(first, second, t) for t in TIMES]
        pictures.append([painter.picture(mesh, scene(latent)) for latent in (first, second, *between)])
        turned = rotation_matrix(second[:3]) @ rotation_matrix(first[:3]).T
        vectors.append(rotation_vector(camera @ turned @ camera.T))
    colors = torch.tensor(np.array(pictures)).movedim(-1, 2) / 127.5 - 1
    return Turned(torch.tensor(np.array(vectors)).float(), (colors[:, 0], colors[:, 1]), colors[:, 2:])


def turned_spheres(pairs: int, size: int = 32) -> Turned:
    """Draw a painted sphere before a plain ground, turned by up to about 60 degrees from the same pose."""
    vectors = np.random.default_rng(0).uniform(-0.6, 0.6, (pairs, 3))
    first, second, *states = (sphere(t * vectors, size) for t in (0, 1, *TIMES))
    return Turned(torch.tensor(vectors).float(), (first, second), torch.stack(states, dim=1))


def sphere(vectors: np.ndarray, size: int) -> Tensor:
    """Draw a sphere, seen from far away, turned by vectors (N, 3)."""
    y, x = np.mgrid[:size, :size] * 2 / size + (1 / size - 1)
    square = 0.75**2 - x**2 - y**2
    points = np.stack([x, y, -np.sqrt(square.clip(0))], axis=-1)
    angle = np.linalg.norm(vectors, axis=1)[:, None, None, None]
    axis = (vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-9)[:, None])[:, None, None]
    # where the points were before they turned, by Rodrigues' formula
    along = (axis * points).sum(axis=-1, keepdims=True)
    before = points * np.cos(angle) - np.cross(axis, points) * np.sin(angle) + axis * along * (1 - np.cos(angle))
    paint = np.sin(5 * before + np.arange(3)) * (square > 0)[..., None]
    return torch.tensor(paint).float().movedim(-1, 1)


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Return axis times angle (3,) of a rotation matrix (3, 3) by less than half a turn."""
    angle = np.arccos((np.trace(matrix) - 1) / 2)
    skew = matrix - matrix.T
    return np.array([skew[2, 1], skew[0, 2], skew[1, 0]]) * angle / (2 * np.sin(angle))
