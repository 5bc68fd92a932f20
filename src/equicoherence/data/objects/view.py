"""What varies between two images of one object: as numbers, and as a scene."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from equicoherence.data.objects.palette import from_hsv
from equicoherence.drawing import Backdrop, Camera, Lighting, Scene, light_axes

_LIGHTING = Lighting(sky=0.4, ground=0.4, headlight=0.0, direct=0.75, even_floor=True)
_SPREAD = 0.47


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


def scene_of(view: View) -> Scene:
    """Return what is drawn: tiles, haze, sky; one light, of a hard shadow; faces are lit from both sides."""

    def colour(hue: float, saturation: float, value: float) -> np.ndarray:
        return np.array(from_hsv(hue, saturation, value), dtype=np.float32)

    cosine, sine = np.cos(view.yaw), np.sin(view.yaw)
    return Scene(
        camera=Camera(view.elevation, view.distance, _SPREAD, view.shift_x, view.shift_y),
        rotation=np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]),
        light=light_axes(np.pi / 2 - view.light_elevation, view.light_azimuth),
        light_colour=colour(view.light_hue, 0.12, 1.0),
        floor_colour=colour(view.floor_hue, 0.34, 0.74),
        lighting=_LIGHTING,
        backdrop=Backdrop(colour(view.sky_hue, 0.42, 0.85), colour(view.sky_hue, 0.14, 0.97), view.tiles),
    )
