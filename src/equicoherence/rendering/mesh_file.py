"""A mesh file (OBJ, GLB, glTF, PLY) as triangles with one flat colour each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from trimesh.resolvers import Resolver
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from equicoherence.drawing import ColouredMesh


class BadMesh(Exception):
    """A mesh cannot be read or holds nothing to draw."""


def read_mesh(path: Path, root: Path) -> ColouredMesh:
    """Read a mesh file, +Y up, and fit it into the unit sphere.

    A face's colour is its own, the mean of its corners', or its material's; of a texture, what lies under its centroid.
    What a file refers to (materials, textures) is read only where it lies in ``root``, and never over the network.

    Raises:
        BadMesh: the file cannot be read, has no faces, or its vertices are not finite.
    """
    try:
        scene = trimesh.load(str(path), force="scene", process=False, resolver=_Within(root, path.parent))
        assert isinstance(scene, trimesh.Scene)
        parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]
        colours = [_face_colours(part) for part in parts]
    except Exception as error:  # the readers of broken files raise whatever they stumble over
        raise BadMesh(f"cannot be read ({type(error).__name__}: {error})") from error
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [np.asarray(part.faces) + start for part, start in zip(parts, starts)]
    if not sum(map(len, faces)):
        raise BadMesh("has no faces")
    vertices = np.concatenate([np.asarray(part.vertices) for part in parts])
    return fitted(vertices, np.concatenate(faces), np.concatenate(colours))


def fitted(vertices: np.ndarray, faces: np.ndarray, face_colours: np.ndarray) -> ColouredMesh:
    """Centre the bounding box of what faces use on the origin, and scale its farthest vertex to distance 1.

    Raises:
        BadMesh: arrays do not fit each other, there are no faces, a face names no vertex, or vertices are not finite or
            all in one place.
    """
    if not len(faces):
        raise BadMesh("has no faces")
    if vertices.ndim != 2 or vertices.shape[1] != 3 or face_colours.shape != faces.shape or faces.shape[1:] != (3,):
        shapes = f"{vertices.shape}, {faces.shape} and {face_colours.shape}"
        raise BadMesh(f"has vertices, faces and colours of shapes {shapes}, not (V, 3), (F, 3) and (F, 3)")
    if not np.issubdtype(faces.dtype, np.integer):
        raise BadMesh(f"has faces of {faces.dtype}, not of whole numbers")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise BadMesh(f"a face names vertex {faces.max() if faces.min() >= 0 else faces.min()} of {len(vertices)}")
    used, faces = np.unique(faces, return_inverse=True)
    vertices = np.asarray(vertices, dtype=np.float64)[used]
    if not np.isfinite(vertices).all():
        raise BadMesh("has vertices that are not finite")
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    radius = np.linalg.norm(vertices, axis=1).max()
    if not 0 < radius < np.inf:
        raise BadMesh("has all its vertices in one place" if radius == 0 else "is too large")
    return ColouredMesh(
        (vertices / radius).astype(np.float32),
        faces.reshape(-1, 3).astype(np.int32),
        np.ascontiguousarray(face_colours, dtype=np.float32),
    )


def _face_colours(part: trimesh.Trimesh) -> np.ndarray:
    visual: Any = part.visual
    if not isinstance(visual, TextureVisuals):
        return np.asarray(visual.face_colors)[:, :3] / 255
    material, image = visual.material, None
    if isinstance(material, PBRMaterial):
        image, factor = material.baseColorTexture, material.baseColorFactor
        factor = np.ones(3) if factor is None else _encoded(np.asarray(factor)[:3] / 255)
    else:
        image = getattr(material, "image", None)
        factor = np.ones(3) if image is not None else np.asarray(material.main_color)[:3] / 255
    if image is None or visual.uv is None:
        return np.broadcast_to(factor, (len(part.faces), 3))
    pixels = np.asarray(image.convert("RGB"))
    u, v = np.asarray(visual.uv)[np.asarray(part.faces)].mean(axis=1).T
    u, v = np.nan_to_num(u) % 1, np.nan_to_num(1 - v) % 1  # rows run down, v runs up
    height, width = pixels.shape[:2]
    rows, columns = np.minimum((v * height).astype(int), height - 1), np.minimum((u * width).astype(int), width - 1)
    return pixels[rows, columns] / 255 * factor


def _encoded(linear: np.ndarray) -> np.ndarray:
    """Return sRGB values of linear ones: glTF's factors are linear."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


class _Within(Resolver):
    """Read what a mesh file refers to from its own folder or from anywhere below ``root``."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root.resolve(), folder.resolve()

    def get(self, key: str) -> bytes:
        path = (self.folder / key.strip().replace("\\", "/")).resolve()
        if not path.is_relative_to(self.root):
            raise ValueError(f"{key!r} lies outside {self.root}")
        return path.read_bytes()

    def write(self, name: str, data: Any) -> None:
        raise PermissionError("meshes are only read")

    def namespaced(self, namespace: str) -> _Within:
        return _Within(self.root, self.folder / namespace)

    def keys(self) -> Iterator[str]:
        return iter([str(path.relative_to(self.folder)) for path in sorted(self.folder.iterdir()) if path.is_file()])
