"""One view of a mesh: its image, and what is exactly where in it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np

from equicoherence.data.objects.mesh import ColouredMesh
from equicoherence.rendering.camera import extrinsics, intrinsics
from equicoherence.rendering.compiled import compiled
from equicoherence.rendering.latent import rotation_matrix
from equicoherence.rendering.rasterise import rasterise
from equicoherence.rendering.shade import filter_colours, light_faces, read_centres
from equicoherence.rendering.shadow import CELL, EMPTY, EXTENT, SEARCH_DISCS, TAP_DISCS, nearest_around, shade

_FLOOR_SATURATION, _FLOOR_VALUE, _LIGHT_SATURATION = 0.42, 0.72, 0.4


@dataclass(frozen=True)
class Drawing:
    """A view. Depth, normals and mask are those of the pixels' centres, floor included."""

    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    depth: np.ndarray
    """(S, S) uint16, along the camera's axis, in steps of ``DEPTH_STEP`` radii of the object."""
    normals: np.ndarray
    """(S, S, 3) int8, 127 times the unit normal in camera coordinates, turned to the camera."""
    mask: np.ndarray
    """(S, S) uint8, 1 on the object, 0 on the floor."""
    box: np.ndarray
    """(4,) int32, first column and row of the mask, and those after its last; zeros where no centre lies on it."""
    floor: float
    """Height of the floor, which the object touches with its lowest vertex."""


class Painter:
    """Draw views of one size; holds the buffers, so that each thread needs its own.

    Raises:
        ValueError: the size is out of its range.
    """

    def __init__(self, size: int) -> None:
        if not 16 <= size <= 2048:
            raise ValueError(f"size must be between 16 and 2048 pixels, got {size}")
        side, texels = 2 * size + 1, max(128, 2 * size)
        cells = -(-texels // CELL)
        self.size, self.focal = size, 2 * intrinsics(size)[0, 0]
        self.camera = extrinsics()[:3]
        self.eye = -self.camera[:, :3].T @ self.camera[:, 3]
        self.nearness, self.face_at = np.empty((side, side), np.float32), np.empty((side, side), np.int32)
        self.colours = np.empty((side, side, 3), np.float32)
        self.depths, self.hidden_by = np.empty((texels, texels), np.float32), np.empty((texels, texels), np.int32)
        self.coarse, self.scratch = np.empty((cells, cells), np.float32), np.empty((cells, cells), np.float32)

    def draw(self, mesh: ColouredMesh, latent: np.ndarray) -> Drawing:
        """Draw a mesh that lies in the unit sphere, +Y up where it is not turned; latent: (7,), see `latent`."""
        size, count = self.size, len(mesh.vertices)
        rotation, light = rotation_matrix(latent[:3]), light_axes(latent[4], latent[5])
        on_screen, on_map = np.empty((count, 3)), np.empty((count, 3))
        normals = np.empty((len(mesh.faces), 3), np.float32)
        centre = (self.nearness.shape[0] - 1) / 2
        floor = _place(
            mesh.vertices, rotation, self.camera, self.focal, centre, light, len(self.depths), EXTENT, on_screen, on_map
        )
        _face_normals(mesh.vertices, mesh.faces, rotation, normals)
        self.nearness.fill(0)
        self.face_at.fill(-1)
        self.depths.fill(EMPTY)
        rasterise(on_screen, mesh.faces, self.nearness, self.face_at)
        rasterise(on_map, mesh.faces, self.depths, self.hidden_by)
        nearest_around(self.depths, self.coarse, self.scratch)
        lit = np.empty((len(mesh.faces) + 1, 8), np.float32)
        tint, ground = _colour(latent[6], _LIGHT_SATURATION, 1.0), _colour(latent[3], _FLOOR_SATURATION, _FLOOR_VALUE)
        light_faces(mesh.vertices, mesh.faces, normals, mesh.face_colours, rotation, self.eye, light, tint, ground, lit)
        shade(
            self.nearness,
            self.face_at,
            lit,
            self.camera,
            self.eye,
            self.focal,
            floor,
            light,
            self.depths,
            self.coarse,
            SEARCH_DISCS,
            TAP_DISCS,
            self.colours,
        )
        image, depth = np.empty((size, size, 3), np.uint8), np.empty((size, size), np.uint16)
        normal, mask, box = np.empty((size, size, 3), np.int8), np.empty((size, size), np.uint8), np.empty(4, np.int32)
        filter_colours(self.colours, image)
        read_centres(self.nearness, self.face_at, normals, self.camera, self.focal, floor, depth, normal, mask, box)
        return Drawing(image, depth, normal, mask, box, floor)


def light_axes(theta: float, phi: float) -> np.ndarray:
    """Return the rows (3, 3) of the light's coordinates: two across it, and the direction to it."""
    (st, sp), (ct, cp) = np.sin([theta, phi]), np.cos([theta, phi])
    return np.array([[cp, 0.0, -sp], [-ct * sp, st, -ct * cp], [st * sp, ct, st * cp]])


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), dtype=np.float32)


@compiled
def _place(
    vertices: Any,
    rotation: Any,
    camera: Any,
    focal: float,
    centre: float,
    light: Any,
    texels: int,
    extent: float,
    screen: Any,
    shadow: Any,
) -> float:
    """Write where vertices lie on the screen and on the shadow map, with their nearness; return the lowest's height."""
    lowest = np.inf
    scale = (texels - 1) / (2 * extent)
    for i in range(len(vertices)):
        vx, vy, vz = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        x = rotation[0, 0] * vx + rotation[0, 1] * vy + rotation[0, 2] * vz
        y = rotation[1, 0] * vx + rotation[1, 1] * vy + rotation[1, 2] * vz
        z = rotation[2, 0] * vx + rotation[2, 1] * vy + rotation[2, 2] * vz
        lowest = min(lowest, y)
        nearness = 1 / (camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3])
        across = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]
        down = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]
        screen[i, 0], screen[i, 1] = centre + focal * across * nearness, centre + focal * down * nearness
        screen[i, 2] = nearness
        shadow[i, 0] = (light[0, 0] * x + light[0, 1] * y + light[0, 2] * z + extent) * scale
        shadow[i, 1] = (light[1, 0] * x + light[1, 1] * y + light[1, 2] * z + extent) * scale
        shadow[i, 2] = light[2, 0] * x + light[2, 1] * y + light[2, 2] * z
    return lowest


@compiled
def _face_normals(vertices: Any, faces: Any, rotation: Any, normals: Any) -> None:
    """Write the unit normals (F, 3) of turned faces; of a face without area, straight up."""
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        px, py, pz = _edge(vertices, a, b)
        qx, qy, qz = _edge(vertices, a, c)
        x, y, z = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        length = np.sqrt(x * x + y * y + z * z)
        if length == 0.0:
            normals[face, 0], normals[face, 1], normals[face, 2] = 0, 1, 0
            continue
        for k in range(3):
            normals[face, k] = (rotation[k, 0] * x + rotation[k, 1] * y + rotation[k, 2] * z) / length


@compiled
def _edge(vertices: Any, start: int, end: int) -> Any:
    return (
        np.float64(vertices[end, 0]) - np.float64(vertices[start, 0]),
        np.float64(vertices[end, 1]) - np.float64(vertices[start, 1]),
        np.float64(vertices[end, 2]) - np.float64(vertices[start, 2]),
    )
