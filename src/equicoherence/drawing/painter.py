"""One view of a mesh: its image, and what is exactly where in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from equicoherence.drawing.backdrop import paint_backdrop
from equicoherence.drawing.compiled import compiled
from equicoherence.drawing.rasterise import rasterise
from equicoherence.drawing.scene import ColouredMesh, Scene
from equicoherence.drawing.shade import filter_colours, light_faces, read_centres
from equicoherence.drawing.shadow import CELL, EMPTY, EXTENT, discs, nearest_around, shade

_GRAZING = 1e-4  # a ray that falls less than this meets the floor too far off to matter: it sees the sky


@dataclass(frozen=True)
class Drawing:
    """A view. Depth, normals and mask are those of the pixels' centres, floor included; the sky is as far as can be."""

    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    depth: np.ndarray
    """(S, S) uint16, along the camera's axis, in steps of ``DEPTH_STEP`` radii of the object."""
    normals: np.ndarray
    """(S, S, 3) int8, 127 times the unit normal in camera coordinates, turned to the camera; zeros in the sky."""
    mask: np.ndarray
    """(S, S) uint8, 1 on the object, 0 beside it."""
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
        if not 8 <= size <= 2048:
            raise ValueError(f"size must be between 8 and 2048 pixels, got {size}")
        side, texels = 2 * size + 1, max(128, 2 * size)
        cells = -(-texels // CELL)
        self.size = size
        self.nearness, self.face_at = np.empty((side, side), np.float32), np.empty((side, side), np.int32)
        self.colours = np.empty((side, side, 3), np.float32)
        self.depths, self.hidden_by = np.empty((texels, texels), np.float32), np.empty((texels, texels), np.int32)
        self.coarse, self.scratch = np.empty((cells, cells), np.float32), np.empty((cells, cells), np.float32)

    def picture(self, mesh: ColouredMesh, scene: Scene) -> np.ndarray:
        """Draw the image (S, S, 3) uint8 alone of a mesh that lies in the unit sphere, +Y up where it is not turned."""
        self._sample(mesh, scene)
        image = np.empty((self.size, self.size, 3), np.uint8)
        filter_colours(self.colours, image)
        return image

    def draw(self, mesh: ColouredMesh, scene: Scene) -> Drawing:
        """Draw the image, and what is where in it."""
        size = self.size
        view, normals = self._sample(mesh, scene)
        image, depth = np.empty((size, size, 3), np.uint8), np.empty((size, size), np.uint16)
        normal, mask, box = np.empty((size, size, 3), np.int8), np.empty((size, size), np.uint8), np.empty(4, np.int32)
        filter_colours(self.colours, image)
        read_centres(self.nearness, self.face_at, normals, view, depth, normal, mask, box)
        return Drawing(image, depth, normal, mask, box, view[3])

    def _sample(self, mesh: ColouredMesh, scene: Scene) -> tuple[tuple[Any, ...], np.ndarray]:
        """Fill the buffers; return the view (camera, eye, pinhole, floor, grazing) and the faces' normals."""
        lighting, light, rotation, backdrop = scene.lighting, scene.light, scene.rotation, scene.backdrop
        camera = scene.camera.extrinsics()[:3]
        eye = -camera[:, :3].T @ camera[:, 3]
        pinhole = 2 * scene.camera.intrinsics(self.size)[[0, 0, 1], [0, 2, 2]]  # samples lie half a pixel apart
        on_screen, on_map = np.empty((len(mesh.vertices), 3)), np.empty((len(mesh.vertices), 3))
        normals = np.empty((len(mesh.faces), 3), np.float32)
        floor = _place(mesh.vertices, rotation, camera, pinhole, light, (len(self.depths), EXTENT), on_screen, on_map)
        view = (camera, eye, pinhole, floor, _GRAZING)
        _face_normals(mesh.vertices, mesh.faces, rotation, normals)
        self.nearness.fill(0)
        self.face_at.fill(-1)
        self.depths.fill(EMPTY)
        rasterise(on_screen, mesh.faces, self.nearness, self.face_at)
        rasterise(on_map, mesh.faces, self.depths, self.hidden_by)
        nearest_around(self.depths, lighting.radius, self.coarse, self.scratch)
        mean, half = (lighting.sky + lighting.ground) / 2, (lighting.sky - lighting.ground) / 2
        lamps = np.array([mean, half, lighting.headlight, lighting.direct])
        floor_colour = scene.floor_colour if backdrop is None else np.ones(3, np.float32)
        lit = np.empty((len(mesh.faces) + 1, 8), np.float32)
        surfaces = (mesh.vertices, mesh.faces, normals, mesh.face_colours, floor_colour)
        light_faces(surfaces, rotation, eye, light, scene.light_colour, lamps, lighting.even_floor, lit)
        shadow = (lighting.radius, self.depths, self.coarse, discs(lighting.search), discs(lighting.taps))
        shade(self.nearness, self.face_at, lit, view, light, shadow, self.colours)
        if backdrop is not None:
            colours = (scene.floor_colour, backdrop.zenith, backdrop.haze)
            paint_backdrop(self.face_at, view, colours, backdrop.tiles, self.colours)
        return view, normals


@compiled
def _place(
    vertices: Any, rotation: Any, camera: Any, pinhole: Any, light: Any, map_size: Any, screen: Any, shadow: Any
) -> float:
    """Write where vertices lie on the screen and on the shadow map, with their nearness; return the lowest's height."""
    lowest = np.inf
    texels, extent = map_size
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
        screen[i, 0] = pinhole[1] + pinhole[0] * across * nearness
        screen[i, 1] = pinhole[2] + pinhole[0] * down * nearness
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
