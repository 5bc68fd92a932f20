"""From a mesh and a view to pixels: embree rays, an infinite floor, a sky, one light that casts a shadow."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from equicoherence.data.objects.mesh import ColouredMesh
from equicoherence.data.objects.palette import from_hsv

_AMBIENT = 0.4
_GRAZING = 1e-4  # rays that fall less than this meet the floor too far off to matter
_LIFT = 2e-3  # how far a shadow ray starts off its surface, in units of the object's radius


@dataclass(frozen=True)
class View:
    """All that varies between two images of one object. Angles in radians, hues in [0, 1)."""

    yaw: float
    """Turn of the object about +Y, counter-clockwise from above."""
    elevation: float
    """Height of the camera above the horizon; it looks down by as much."""
    distance: float
    """From the camera to the object's centre, in radii of the object."""
    shift_x: float
    """Where the object's centre lies in the image, to the right; the image spans [-1, 1]."""
    shift_y: float
    """The same, downwards."""
    floor_hue: float
    sky_hue: float
    light_azimuth: float
    """Of the light, about +Y, from behind the camera."""
    light_elevation: float
    light_hue: float
    tiles: float
    """Contrast of the floor's tiles, 0 for a plain floor."""


VIEW_NAMES = tuple(field.name for field in fields(View))
"""The numbers of a view, in order."""


def draw_view(rng: np.random.Generator) -> View:
    """Draw a view: any yaw, a camera a little above, hues of floor and sky apart."""
    floor_hue = rng.uniform()
    return View(
        yaw=rng.uniform(0, 2 * np.pi),
        elevation=np.radians(rng.uniform(8, 28)),
        distance=rng.uniform(2.4, 3.0),
        shift_x=rng.uniform(-0.14, 0.14),
        shift_y=rng.uniform(-0.08, 0.14),
        floor_hue=floor_hue,
        sky_hue=(floor_hue + rng.uniform(0.25, 0.75)) % 1.0,
        light_azimuth=rng.uniform(-2.2, 2.2),
        light_elevation=np.radians(rng.uniform(35, 65)),
        light_hue=rng.uniform(),
        tiles=max(0.0, rng.uniform(-0.12, 0.16)),
    )


def render(mesh: ColouredMesh, view: View, size: int, supersample: int = 2) -> np.ndarray:
    """Render a mesh as built by ``build``.

    Each pixel is the mean of ``supersample`` x ``supersample`` rays. Faces are flat and lit from both sides
    (Lambert); the light's shadow falls on the floor and on the object itself.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    vertices = mesh.vertices @ _turn(view.yaw).T
    floor = float(vertices[:, 1].min())
    triangles = vertices[mesh.faces].astype(np.float32)
    scene = EmbreeScene()
    TriangleMesh(scene, triangles)

    side = size * supersample
    origin, rays = _camera(view, side)
    colours = _backdrop(view, origin, rays, floor)
    light = _direction(view.light_azimuth, view.light_elevation)
    tint = np.array(from_hsv(view.light_hue, 0.12, 1.0), dtype=np.float32)

    seen = scene.run(np.broadcast_to(origin, rays.shape).copy(), rays, output=True)
    on_object = np.flatnonzero(seen["primID"] >= 0)
    face = seen["primID"][on_object]
    normals = _facing_normals(triangles[face], rays[on_object])
    points = origin + seen["tfar"][on_object, None] * rays[on_object]
    lit = _lit(scene, points + normals * _LIFT, light)
    colours[on_object] = mesh.face_colours[face] * _shade(normals @ light * lit, tint)

    on_floor = np.flatnonzero((rays[:, 1] < -_GRAZING) & (seen["primID"] < 0))
    points = origin + ((floor - origin[1]) / rays[on_floor, 1])[:, None] * rays[on_floor]
    lit = _lit(scene, points + np.array([0, _LIFT, 0], dtype=np.float32), light)
    colours[on_floor] *= _shade(lit.astype(np.float32), tint)

    mean = colours.reshape(size, supersample, size, supersample, 3).mean(axis=(1, 3))
    return (mean.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _camera(view: View, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the origin (3,) and unit directions (side * side, 3) of the rays, rows downwards, float32."""
    spread = 0.47  # tangent of half the field of view
    u = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid((u - view.shift_x) * spread, (view.shift_y - u) * spread)
    rays = np.stack([x, y, np.full_like(x, -1.0)], axis=-1).reshape(-1, 3)
    cosine, sine = np.cos(view.elevation), np.sin(view.elevation)
    tilt = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]).T
    rays = rays @ tilt.T / np.linalg.norm(rays, axis=1, keepdims=True)
    origin = tilt @ np.array([0, 0, view.distance])
    return origin.astype(np.float32), rays.astype(np.float32)


def _backdrop(view: View, origin: np.ndarray, rays: np.ndarray, floor: float) -> np.ndarray:
    """Return colours (R, 3) of sky and unlit floor; the floor fades to a haze at the horizon."""
    ground = np.array(from_hsv(view.floor_hue, 0.34, 0.74), dtype=np.float32)
    zenith = np.array(from_hsv(view.sky_hue, 0.42, 0.85), dtype=np.float32)
    haze = np.array(from_hsv(view.sky_hue, 0.14, 0.97), dtype=np.float32)
    up = rays[:, 1:2]
    colours = haze + (zenith - haze) * (up / 0.5).clip(0, 1)
    below = np.flatnonzero(up[:, 0] < -_GRAZING)
    reach = (floor - origin[1]) / rays[below, 1:2]
    near = np.exp(-reach / 14)  # of the floor's own colour, the rest is haze
    x, z = ((origin + reach * rays[below])[:, [0, 2]] / 0.8).T
    even = (np.floor(x) + np.floor(z)) % 2 == 0
    checker = np.where(even, view.tiles, -view.tiles).astype(np.float32)[:, None] * near
    colours[below] = ground * (1 + checker) * near + (ground * 0.6 + haze * 0.25) * (1 - near)
    return colours


def _lit(scene: EmbreeScene, points: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Tell for points (M, 3) whether they see the light."""
    along = points @ light
    near = np.einsum("ij,ij->i", points, points) - along**2 < 1.0  # else the ray passes by the unit sphere
    lit = np.ones(len(points), dtype=bool)
    tested = np.flatnonzero(near)
    if len(tested):
        starts = np.ascontiguousarray(points[tested], dtype=np.float32)
        directions = np.broadcast_to(light, starts.shape).astype(np.float32)
        lit[tested] = scene.run(starts, directions, query="OCCLUDED") < 0
    return lit


def _facing_normals(triangles: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Return unit normals (M, 3) of triangles (M, 3, 3), turned against the rays."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    return np.where(np.einsum("ij,ij->i", normals, rays)[:, None] > 0, -normals, normals)


def _shade(diffuse: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Return the light (M, 3) that a surface sends back for its share of direct light (M,)."""
    return _AMBIENT + (1.15 - _AMBIENT) * diffuse.clip(0, 1)[:, None] * tint


def _turn(yaw: float) -> np.ndarray:
    cosine, sine = np.cos(yaw), np.sin(yaw)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]], dtype=np.float32)


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    flat = np.cos(elevation)
    return np.array([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)], dtype=np.float32)
