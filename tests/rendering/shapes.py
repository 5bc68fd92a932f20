"""Meshes whose pictures are known, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from trimesh.visual.color import ColorVisuals

from equicoherence.drawing import ColouredMesh
from equicoherence.rendering.mesh_file import fitted

RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def arrow() -> ColouredMesh:
    """An asymmetric thing: a red arm along +x, a shorter green one along +y, the shortest, blue, along +z."""
    vertices, faces, colours = [], [], []
    for axis, (length, colour) in enumerate(((2.0, RED), (1.4, GREEN), (0.8, BLUE))):
        size, place = np.full(3, 0.3), np.zeros(3)
        size[axis], place[axis] = length, length / 2
        part = trimesh.creation.box(size, transform=trimesh.transformations.translation_matrix(place))
        vertices.append(np.asarray(part.vertices))
        faces.append(np.asarray(part.faces) + 8 * axis)
        colours.append(np.tile(colour, (12, 1)))
    return fitted(np.concatenate(vertices), np.concatenate(faces), np.concatenate(colours))


def ball(subdivisions: int = 5) -> ColouredMesh:
    """The unit sphere, white."""
    shape = trimesh.creation.icosphere(subdivisions=subdivisions)
    return fitted(np.asarray(shape.vertices), np.asarray(shape.faces), np.ones((len(shape.faces), 3)))


def write_folder(root: Path, objects: int = 5) -> Path:
    """Two categories of coloured boxes, as PLY and GLB."""
    for category, extents, suffix in (("flat", (1, 0.2, 1), "ply"), ("tall", (0.3, 1, 0.3), "glb")):
        (root / category).mkdir(parents=True)
        for number in range(objects):
            box = trimesh.creation.box(np.array(extents) * (1 + 0.1 * number * np.array([1, 0, 0])))
            colours = np.tile([250 - 40 * number, 40 * number, 90, 255], (len(box.vertices), 1))
            box.visual = ColorVisuals(box, vertex_colors=colours)
            box.export(root / category / f"box_{number}.{suffix}")
    return root
