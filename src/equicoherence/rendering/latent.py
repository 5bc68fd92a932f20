"""The seven numbers that vary between two images of one object: drawn, and interpolated.

``rotation_x``, ``rotation_y``, ``rotation_z``: turns about the world's x, then y, then z axis (extrinsic), radians;
drawn from [-turn, turn], pi/2 in 3DIEBench. As a matrix, R = Rz @ Ry @ Rx. ``floor_hue``: [0, 1). ``light_theta``:
angle of the light from straight above, [0, pi/4]. ``light_phi``: its direction about +y, from +z (the camera's side)
towards +x, [0, 2 pi). ``light_hue``: [0, 1). These are the columns of 3DIEBench (Garrido, Najman, LeCun 2023), in its
order. The ranges are those of its scenes; in the preset ``objects`` rotations x and z of a view are 0, y lies in [-pi,
pi], theta in [25, 55] degrees, and phi no more than 2.2 to either side.
"""

from __future__ import annotations

import numpy as np

_TURN = 2 * np.pi


def draw_latent(rng: np.random.Generator, turn: float = np.pi / 2) -> np.ndarray:
    """Draw a latent (7,) float64, each number uniformly in its range; turn: largest angle about each axis, radians."""
    low = np.array([-turn, -turn, -turn, 0, 0, 0, 0])
    high = np.array([turn, turn, turn, 1, np.pi / 4, _TURN, 1])
    return rng.uniform(low, high)


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """Return Rz @ Ry @ Rx (3, 3) of angles (x, y, z) in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )


def quaternion(angles: np.ndarray) -> np.ndarray:
    """Return the unit quaternion (x, y, z, w) of angles (x, y, z) in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.asarray(angles) / 2), np.sin(np.asarray(angles) / 2)
    return np.array(
        [
            cz * cy * sx - sz * sy * cx,
            cz * sy * cx + sz * cy * sx,
            sz * cy * cx - cz * sy * sx,
            cz * cy * cx + sz * sy * sx,
        ]
    )


def angles_of(rotation: np.ndarray) -> np.ndarray:
    """Return the angles (x, y, z) of a unit quaternion (x, y, z, w): y in [-pi/2, pi/2], x and z in [-pi, pi].

    Where y is +-pi/2 only x - z or x + z matters, and z is 0.
    """
    x, y, z, w = rotation
    sine = 2 * (w * y - x * z)
    if abs(sine) > 1 - 1e-12:
        return np.array([2 * np.arctan2(x, w), np.copysign(np.pi / 2, sine), 0.0])
    return np.array(
        [
            np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)),
            np.arcsin(sine),
            np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
        ]
    )


def slerp(first: np.ndarray, second: np.ndarray, t: float) -> np.ndarray:
    """Return the unit quaternion a share ``t`` of the way along the shorter turn between two unit quaternions."""
    cosine = float(first @ second)
    if cosine < 0:  # the same rotation, on the near side
        second, cosine = -second, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-9:
        return first.copy()
    mixed = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * second) / np.sin(angle)
    return mixed / np.linalg.norm(mixed)


def interpolate(first: np.ndarray, second: np.ndarray, t: float) -> np.ndarray:
    """Return the latent a share ``t`` of the way from one to another.

    The rotation by ``slerp``; hues and ``light_phi`` along the shorter way round their circles; ``light_theta``
    linearly. The angles of the rotation between can leave the range that views are drawn from.
    """
    between = (1 - t) * first + t * second
    between[:3] = angles_of(slerp(quaternion(first[:3]), quaternion(second[:3]), t))
    for column, circle in ((3, 1.0), (5, _TURN), (6, 1.0)):
        step = (second[column] - first[column] + circle / 2) % circle - circle / 2
        between[column] = (first[column] + t * step) % circle
    return between
