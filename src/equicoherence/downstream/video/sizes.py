"""Sizes that the published evaluations of videos squash frames to."""

from __future__ import annotations

from typing import Literal

PUBLISHED = 480
"""Pixels of the input's short side, in both evaluations of objects."""
MULTIPLE = 64
"""What the long side is a multiple of: it is cut down to one."""
CROPMAE_LONG = 880


def published_size(shape: tuple[int, int], setting: Literal["dino", "cropmae"], *, parts: bool) -> tuple[int, int]:
    """Return the size (h, w) of the input for frames (H, W), as DINO's script and CropMAE's have it.

    DINO: a short side of 480 pixels, and the other cut down to a multiple of 64, whatever the aspect becomes. CropMAE:
    480 x 880 for objects; for parts a long side of 880 pixels, and the other cut down.
    """
    height, width = shape
    if setting == "cropmae" and not parts:
        return PUBLISHED, CROPMAE_LONG
    if setting == "cropmae":
        if width > height:
            return _cut(CROPMAE_LONG * height / width), CROPMAE_LONG
        return CROPMAE_LONG, _cut(CROPMAE_LONG * width / height)
    if height > width:
        return _cut(PUBLISHED * height / width), PUBLISHED
    return PUBLISHED, _cut(PUBLISHED * width / height)


def _cut(side: float) -> int:
    return int(side // MULTIPLE) * MULTIPLE
