"""Kinds of scenes: what varies between the views of an object, and what is drawn for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equicoherence.data.objects.palette import from_hsv
from equicoherence.data.objects.view import View, draw_view, scene_of
from equicoherence.drawing import Lighting, Scene, light_axes
from equicoherence.rendering.camera import CAMERA
from equicoherence.rendering.latent import draw_latent, rotation_matrix

PresetName = Literal["3diebench", "objects"]

_LIGHTING = Lighting(sky=0.42, ground=0.28, headlight=0.08, direct=0.62, radius=0.09, search=12, taps=18)
_STILL = {"yaw": 0.0, "elevation": np.radians(18.0), "distance": 2.7, "shift_x": 0.0, "shift_y": 0.0, "tiles": 0.08}


@dataclass(frozen=True)
class Preset:
    """One kind of scene."""

    turn: float
    """Largest rotation of the object about each axis, degrees."""
    draw: Callable[[np.random.Generator, float], np.ndarray]
    """Draw a latent (7,), see `latent`, of angles up to so many radians."""
    scene: Callable[[np.ndarray], Scene]
    """Return what is drawn for a latent; the camera is the same for all."""


def _threediebench(latent: np.ndarray) -> Scene:
    """Return a scene like those of 3DIEBench: a plain floor that fills the image, soft shadows."""
    return Scene(
        camera=CAMERA,
        rotation=rotation_matrix(latent[:3]),
        light=light_axes(latent[4], latent[5]),
        light_colour=np.array(from_hsv(latent[6], 0.4, 1.0), dtype=np.float32),
        floor_colour=np.array(from_hsv(latent[3], 0.42, 0.72), dtype=np.float32),
        lighting=_LIGHTING,
    )


def _draw_objects_latent(rng: np.random.Generator, turn: float) -> np.ndarray:
    """Draw the part of a view of `data.objects` that a latent holds: turned about the vertical alone."""
    view = draw_view(rng)
    yaw = (view.yaw / np.pi - 1) * turn
    theta, phi = np.pi / 2 - view.light_elevation, view.light_azimuth % (2 * np.pi)
    return np.array([0.0, yaw, 0.0, view.floor_hue, theta, phi, view.light_hue])


def _objects(latent: np.ndarray) -> Scene:
    """Return the scene of `data.objects`, the camera still; the sky has the hue across from the floor's."""
    view = View(
        **_STILL,
        floor_hue=latent[3],
        sky_hue=latent[3] + 0.5,
        light_azimuth=latent[5],
        light_elevation=np.pi / 2 - latent[4],
        light_hue=latent[6],
    )
    return dataclasses.replace(scene_of(view), rotation=rotation_matrix(latent[:3]))


_PRESETS: dict[str, Preset] = {
    "3diebench": Preset(90.0, draw_latent, _threediebench),
    # between yaws of 90 degrees to either side relative quaternions keep w >= 0: one rotation has not two signs
    "objects": Preset(90.0, _draw_objects_latent, _objects),
}


def find_preset(name: str) -> Preset:
    """Return a preset by its name; raise ValueError where there is none."""
    if name not in _PRESETS:
        raise ValueError(f"preset must be one of {', '.join(map(repr, _PRESETS))}, got {name!r}")
    return _PRESETS[name]
