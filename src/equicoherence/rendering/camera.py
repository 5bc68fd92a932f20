"""The camera of 3DIEBench's scenes: it looks so far down that the floor fills the image."""

from __future__ import annotations

import numpy as np

from equicoherence.drawing import Camera

CAMERA = Camera(np.radians(35.0), 3.2, 0.335)  # the unit sphere fits, with 2 % to spare
intrinsics, extrinsics = CAMERA.intrinsics, CAMERA.extrinsics
