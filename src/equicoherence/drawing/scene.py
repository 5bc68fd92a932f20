"""What is drawn, as numbers: a mesh, and all of a picture but that and the size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equicoherence.drawing.camera import Camera


@dataclass(frozen=True)
class ColouredMesh:
    """Triangles with one flat colour each; +Y is up."""

    vertices: np.ndarray
    """(V, 3) float32."""
    faces: np.ndarray
    """(F, 3) int32 rows of ``vertices``."""
    face_colours: np.ndarray
    """(F, 3) float32 RGB in [0, 1]."""


@dataclass(frozen=True)
class Lighting:
    """How much light there is, and how soft shadows are; the same in all scenes of a kind."""

    sky: float
    """On surfaces that face up."""
    ground: float
    """On surfaces that face down."""
    headlight: float
    """From the camera."""
    direct: float
    """From the light, on surfaces that face it."""
    radius: float = 0.0
    """Of the light over its distance: a hider one radius off has a penumbra this wide on each side."""
    search: int = 4
    """Points of the shadow map that are looked at for what hides the light."""
    taps: int = 4
    """Points that say how much of it is hidden."""
    even_floor: bool = False
    """Whether the floor sends back direct light as if it faced the light."""


@dataclass(frozen=True)
class Backdrop:
    """A floor of tiles that fades to a haze at the horizon, and a sky. Colours are (3,) float32 RGB in [0, 1]."""

    zenith: np.ndarray
    haze: np.ndarray
    tiles: float
    """Contrast of the floor's tiles, 0 for a plain floor."""


@dataclass(frozen=True)
class Scene:
    """One view; colours are (3,) float32 RGB in [0, 1]."""

    camera: Camera
    rotation: np.ndarray
    """(3, 3) of the object."""
    light: np.ndarray
    """(3, 3), see `light_axes`."""
    light_colour: np.ndarray
    floor_colour: np.ndarray
    lighting: Lighting
    backdrop: Backdrop | None = None
    """Where None, the camera looks so far down that a plain floor fills the image."""


def light_axes(theta: float, phi: float) -> np.ndarray:
    """Return the rows (3, 3) of the light's coordinates: two across it, and the direction to it.

    theta: its angle from straight above; phi: about +y, from +z (the camera's side) towards +x. Radians.
    """
    (st, sp), (ct, cp) = np.sin([theta, phi]), np.cos([theta, phi])
    return np.array([[cp, 0.0, -sp], [-ct * sp, st, -ct * cp], [st * sp, ct, st * cp]])
