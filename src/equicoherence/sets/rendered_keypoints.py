"""Keypoints of rendered objects: where the outermost vertices of each mesh are seen."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.files import read_image
from equicoherence.sets.kinds import Keypoints, KeypointSet

if TYPE_CHECKING:
    from equicoherence.data.objects.mesh import ColouredMesh  # which needs the renderer

NAMES = ("right", "left", "top", "bottom", "front", "back")
TILT = np.array([[0, 0.05, -0.04], [-0.04, 0, 0.05], [0.05, -0.04, 0]])
"""Added to the axes, so that of corners that are equally far it is always the same one: on a box, six of its eight."""
DIRECTIONS = np.array([sign * axis for axis in np.eye(3) + TILT for sign in (1, -1)])
SHARE = 0.2
"""Length that errors are measured by, as a share of the longer side of the object's box."""


class RenderedKeypoints(KeypointSet):
    """All views of the objects of a set that ``equicoherence render`` wrote, with six points on each.

    The points are the outermost vertices along the object's own axes: +x "right", -x "left", +y "top", -y "bottom", +z
    "front", -z "back"; each direction is tilted a little (``TILT``), so that no two points of a box are the same
    corner. Scored are points inside the image with nothing in front of them. length: a fifth of the longer side of the
    object's box, so that within half of it is the usual PCK@0.1. A mirrored image shows no view of the same object:
    ``mirrored`` is (), images must not be mirrored.

    Raises:
        FileNotFoundError: the meshes are not where ``render.yaml`` says.
        ValueError: they are other meshes, or the manifest or the layout is damaged.
    """

    names = NAMES
    mirrored = ()

    def __init__(self, root: Path, split: SetSplit) -> None:
        from equicoherence.data.poses.threediebench import ThreeDIEBench

        self._root, self._views = root, ThreeDIEBench(root, split)
        loaders = _find_loaders(root / "render.yaml")
        objects = [self._views.object_name(number) for number in range(len(self._views.first) - 1)]
        if unknown := [name for name in objects if name not in loaders]:
            raise ValueError(f"{root} holds {unknown[0]!r}, which is not among the meshes that its render.yaml names")
        self._loaders = [loaders[name] for name in objects]
        self._points = functools.cache(self._find_points)

    def __len__(self) -> int:
        return len(self._views)

    def name(self, index: int) -> str:
        return self._views.name(index)

    def image(self, index: int) -> np.ndarray:
        return read_image(self._folder(index) / f"image_{self._views.views[index]}.jpg")

    def keypoints(self, index: int) -> Keypoints:
        from equicoherence.rendering.latent import rotation_matrix

        view, path = int(self._views.views[index]), self._folder(index) / "dense.npz"
        try:
            with np.load(path, allow_pickle=False) as dense:
                depth = dense[f"depth_{view}"] * float(dense["depth_step"])
                box, intrinsics, extrinsics = dense["boxes"][view], dense["intrinsics"], dense["extrinsics"]
        except (OSError, KeyError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
            raise BadImage(printable(str(path)), f"cannot be read: {printable(str(error))}") from error
        turned = self._points(int(self._views.objects[index])) @ rotation_matrix(self._views.latents[index, :3]).T
        points, distances = project(turned, intrinsics, extrinsics)
        length = SHARE * float(max(box[2] - box[0], box[3] - box[1]))
        scored = visible(points, distances, depth, float(intrinsics[0, 0])) & (length > 0)
        return Keypoints(points.astype(np.float32), scored, length)

    def _folder(self, index: int) -> Path:
        return self._root / self._views.object_name(int(self._views.objects[index]))

    def _find_points(self, number: int) -> np.ndarray:
        from equicoherence.rendering.mesh_file import BadMesh

        try:
            return outermost(self._loaders[number]().vertices)
        except BadMesh as error:
            raise BadImage(self._views.object_name(number), f"its mesh {error}") from error


def outermost(vertices: np.ndarray) -> np.ndarray:
    """Return the vertices (6, 3) of (V, 3) that are farthest along ``DIRECTIONS``."""
    return vertices[(vertices @ DIRECTIONS.T).argmax(axis=0)].astype(np.float64)


def project(points: np.ndarray, intrinsics: np.ndarray, extrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points (K, 3) of the world are seen, (K, 2) in pixels, and their distances (K,) along the camera's
    axis."""
    camera = points @ extrinsics[:3, :3].T + extrinsics[:3, 3]
    pixels = camera @ intrinsics.T
    return pixels[:, :2] / pixels[:, 2:], camera[:, 2]


def visible(points: np.ndarray, distances: np.ndarray, depth: np.ndarray, focal: float) -> np.ndarray:
    """Return which points (K, 2) lie in the image and have nothing in front of them in their pixel's depth (H, W).

    What is less than two pixels' width nearer does not hide a point: depths are those of the pixels' centres.
    """
    columns, rows = np.floor(points.T).astype(int)
    inside = (columns >= 0) & (rows >= 0) & (columns < depth.shape[1]) & (rows < depth.shape[0])
    seen = depth[np.where(inside, rows, 0), np.where(inside, columns, 0)]
    return inside & (seen > distances - 2 * distances / focal)


def _find_loaders(manifest: Path) -> dict[str, Callable[[], ColouredMesh]]:
    """Return how to read the mesh of each ``CATEGORY/OBJECT`` that a manifest names."""
    import yaml

    from equicoherence.rendering.meshes import find_meshes

    try:
        contents = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        source, digest = contents["meshes"], contents["meshes_digest"]
        seed, objects = contents["seed"], contents["objects"]
    except (OSError, KeyError, TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{manifest} cannot be read: {type(error).__name__} {printable(str(error))}") from error
    try:
        found = find_meshes(source, seed=seed, objects=objects)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}. Points are found on the meshes: say under 'meshes' in {manifest}") from error
    if found.digest != digest:
        raise ValueError(f"the meshes at {source!r} are not those that {manifest.parent} was rendered from")
    return {entry.path: entry.load for entry in found.entries}


RENDERED_KEYPOINTS = Declaration(
    name="rendered_keypoints",
    kind="keypoints",
    layout="render.yaml, train_images.npy, val_images.npy, CATEGORY/OBJECT/image_I.jpg, latent_I.npy, dense.npz; and "
    "the meshes that render.yaml names",
    source="equicoherence render --meshes PATH --out DIR, of any meshes",
    is_here=lambda root: (root / "render.yaml").is_file() and (root / "train_images.npy").is_file(),
    open=RenderedKeypoints,
    order="mpii_rendered",  # behind people's
)
