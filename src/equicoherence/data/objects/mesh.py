"""Coloured meshes, put together from boxes, rods, balls, rings, lathed profiles and extruded outlines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import trimesh
import trimesh.creation

from equicoherence.data.objects.palette import Colour
from equicoherence.drawing import ColouredMesh

Point = Sequence[float] | np.ndarray
"""Three numbers: x right, y up, z to the front."""


class MeshBuilder:
    """Collect coloured parts; each method adds one, rotated and then moved to ``at``.

    ``turn`` is three angles in degrees, about x, then y, then z.
    """

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._colours: list[np.ndarray] = []

    def box(self, colour: Colour, size: Point, at: Point, turn: Point = (0, 0, 0)) -> None:
        """Add a box of ``size`` centred ``at``."""
        self._add(_cube().vertices * np.asarray(size), _cube().faces, colour, at, turn)

    def ball(self, colour: Colour, radii: Point, at: Point, turn: Point = (0, 0, 0)) -> None:
        """Add an ellipsoid with ``radii`` along x, y, z."""
        self._add(_sphere().vertices * np.asarray(radii), _sphere().faces, colour, at, turn)

    def rod(self, colour: Colour, start: Point, end: Point, radius: float, end_radius: float | None = None) -> None:
        """Add a round rod between two points, tapered where ``end_radius`` is given."""
        end_radius = radius if end_radius is None else end_radius
        profile = [(0, 0), (radius, 0), (end_radius, 1), (0, 1)]
        shape = trimesh.creation.revolve(profile, sections=12, process=False)  # as it is: merging takes long
        axis = np.asarray(end, dtype=float) - np.asarray(start, dtype=float)
        length = float(np.linalg.norm(axis))
        shape.vertices = np.asarray(shape.vertices) * (1, 1, length)
        shape.apply_transform(trimesh.geometry.align_vectors((0, 0, 1), axis / length))
        self._add(shape.vertices, shape.faces, colour, start, (0, 0, 0))

    def ring(
        self, colour: Colour, radius: float, thickness: float, at: Point, turn: Point = (0, 0, 0), sweep: float = 360
    ) -> None:
        """Add a torus in the xy plane, or its first ``sweep`` degrees from +x towards +y."""
        angles = np.linspace(0, 2 * np.pi, 9)
        profile = np.stack([radius + thickness * np.cos(angles), thickness * np.sin(angles)], axis=1)
        if sweep == 360:
            shape = trimesh.creation.revolve(profile, sections=20)
        else:
            shape = trimesh.creation.revolve(profile, angle=np.radians(sweep), sections=16)
        self._add(shape.vertices, shape.faces, colour, at, turn)

    def lathe(
        self,
        colour: Colour,
        profile: Sequence[tuple[float, float]],
        at: Point = (0, 0, 0),
        turn: Point = (0, 0, 0),
        sections: int = 16,
        second: Colour | None = None,
    ) -> None:
        """Turn a profile of (radius, height) points about the y axis; sectors alternate with ``second``."""
        shape = trimesh.creation.revolve(profile, sections=sections)
        shape.vertices = np.asarray(shape.vertices)[:, [1, 2, 0]]
        colours = np.tile(np.asarray(colour), (len(shape.faces), 1))
        if second is not None:
            centres = shape.triangles_center
            sector = np.arctan2(centres[:, 0], centres[:, 2]) / (2 * np.pi) * sections
            colours[np.floor(sector).astype(int) % 2 == 1] = second
        self._add(shape.vertices, shape.faces, colours, at, turn)

    def prism(
        self,
        colour: Colour,
        outline: Sequence[tuple[float, float]],
        depth: float,
        at: Point = (0, 0, 0),
        turn: Point = (0, 0, 0),
        taper: float = 1.0,
    ) -> None:
        """Saw an (x, y) outline out of a board of ``depth``, centred on z = 0; its back is scaled by ``taper``.

        The outline is star-shaped about the mean of its corners.
        """
        front = np.asarray(outline, dtype=float)
        count = len(front)
        centre = front.mean(axis=0)
        back = centre + (front - centre) * taper
        flat = np.concatenate([front, back, [centre, centre]])
        z = np.concatenate([np.full(count, depth / 2), np.full(count, -depth / 2), [depth / 2, -depth / 2]])
        here = np.arange(count)
        after = np.roll(here, -1)
        faces = np.concatenate(
            [
                np.stack([here, after, np.full(count, 2 * count)], axis=1),
                np.stack([after + count, here + count, np.full(count, 2 * count + 1)], axis=1),
                np.stack([here, here + count, after], axis=1),
                np.stack([after, here + count, after + count], axis=1),
            ]
        )
        self._add(np.column_stack([flat, z]), faces, colour, at, turn)

    def standing(self) -> ColouredMesh:
        """Return all parts as one mesh, its bounding box centred on the origin, in the unit sphere.

        Raises:
            ValueError: no part was added.
        """
        vertices = np.concatenate(self._vertices)
        vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        vertices /= np.linalg.norm(vertices, axis=1).max()
        return ColouredMesh(
            vertices.astype(np.float32),
            np.concatenate(self._faces).astype(np.int32),
            np.concatenate(self._colours).astype(np.float32),
        )

    def _add(
        self, vertices: np.ndarray, faces: np.ndarray, colour: Colour | np.ndarray, at: Point, turn: Point
    ) -> None:
        start = sum(len(vertices) for vertices in self._vertices)
        self._vertices.append(np.asarray(vertices) @ _rotation(turn).T + np.asarray(at, dtype=float))
        self._faces.append(np.asarray(faces) + start)
        self._colours.append(np.broadcast_to(np.asarray(colour), (len(faces), 3)))


@cache
def _cube() -> trimesh.Trimesh:
    return trimesh.creation.box()


@cache
def _sphere() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=2)


def _rotation(turn: Point) -> np.ndarray:
    matrix = np.eye(3)
    for axis, degrees in enumerate(turn):
        if degrees:
            cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            first, second = (axis + 1) % 3, (axis + 2) % 3
            step = np.eye(3)
            step[first, first], step[first, second] = cosine, -sine
            step[second, first], step[second, second] = sine, cosine
            matrix = step @ matrix
    return matrix
