"""Rotations and pose changes of rendered objects, as batched torch functions.

Angles are radians about the world's x, y and z axis, applied in this order about fixed axes (extrinsic xyz):
``R = Rz @ Ry @ Rx``. Quaternions are unit (x, y, z, w); q and -q are the same rotation.
"""

from __future__ import annotations

import torch
from torch import Tensor

LATENT_WIDTHS = (7, 10)
"""Numbers in a latent: rotation x, y, z; floor hue; light theta, phi, hue; in 3DIEBench-T also translation x, y, z."""
FLOOR_HUE, LIGHT_HUE, TRANSLATION = 3, 6, 7
"""Columns of a latent; rotation is 0 to 2."""


def quaternion(angles: Tensor) -> Tensor:
    """Return the quaternion (..., 4) of angles (..., 3)."""
    half = angles / 2
    (cx, cy, cz), (sx, sy, sz) = half.cos().unbind(-1), half.sin().unbind(-1)
    return torch.stack(
        [
            cz * cy * sx - sz * sy * cx,
            cz * sy * cx + sz * cy * sx,
            sz * cy * cx - cz * sy * sx,
            cz * cy * cx + sz * sy * sx,
        ],
        dim=-1,
    )


def multiply(first: Tensor, second: Tensor) -> Tensor:
    """Return the quaternion (..., 4) of the rotation matrix product ``first @ second``."""
    (ax, ay, az, aw), (bx, by, bz, bw) = first.unbind(-1), second.unbind(-1)
    return torch.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        dim=-1,
    )


def inverse(rotation: Tensor) -> Tensor:
    """Return the quaternion (..., 4) of the inverse rotation."""
    return torch.cat([-rotation[..., :3], rotation[..., 3:]], dim=-1)


def relative_rotation(first: Tensor, second: Tensor) -> Tensor:
    """Return the quaternion (..., 4) of ``R1^-1 @ R2`` of quaternions (..., 4), which broadcast.

    It is SIE's target (Garrido, Najman, LeCun 2023): the rotation from the first to the second, in object coordinates.
    Its sign follows from theirs and is left: 4.5 % of the pairs of 3DIEBench get w < 0, and none jumps between them.
    """
    return multiply(inverse(first), second)


def upright(rotations: Tensor) -> Tensor:
    """Return the one of the two quaternions (..., 4) of each rotation whose w is not negative.

    Euler angles within +-pi/2, as 3DIEBench has them, give w > 0: its own quaternions come back unchanged.
    """
    return torch.where(rotations[..., 3:] < 0, -rotations, rotations)


def pose_change(first: Tensor, second: Tensor) -> Tensor:
    """Return what changes from latents (..., 7 or 10) to others: (..., 6 or 9), columns named by `change_names`.

    The relative rotation of `upright` quaternions, as a quaternion; the differences of floor hue and light hue, second
    minus first; for latents of 10, those of the translation. Hues differ as 3DIEBench publishes them: plainly, in
    [-1, 1], though hue is a circle on which .95 and .05 are near (rendered pose paths take that shorter way).

    Raises:
        ValueError: the latents do not hold 7 or 10 numbers each.
    """
    names = change_names(first.shape[-1])
    rotation = relative_rotation(*(upright(quaternion(latents[..., :3])) for latents in (first, second)))
    columns = [FLOOR_HUE, LIGHT_HUE, *range(TRANSLATION, TRANSLATION + len(names) - 6)]
    # column by column: a list as an index would be copied to the device each time
    differences = [second[..., column] - first[..., column] for column in columns]
    return torch.cat([rotation, torch.stack(differences, dim=-1)], dim=-1)


def change_names(width: int) -> tuple[str, ...]:
    """Return the names of the columns of `pose_change` for latents of ``width`` numbers.

    Raises:
        ValueError: ``width`` is not 7 or 10.
    """
    if width not in LATENT_WIDTHS:
        raise ValueError(f"a latent holds 7 numbers, or 10 with a translation; got {width}")
    names = ("rotation_x", "rotation_y", "rotation_z", "rotation_w", "floor_hue", "light_hue")
    return names if width == 7 else (*names, "translation_x", "translation_y", "translation_z")
