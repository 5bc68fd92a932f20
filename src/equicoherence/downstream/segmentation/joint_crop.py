"""Random crops and mirror images of an image together with its label image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

SMALLEST = 0.25  # share of the image's area
LARGEST_STRETCH = 4 / 3  # of the sides of a crop against one another, beside those of the whole


def joint_crop(
    image: np.ndarray, mask: np.ndarray, size: tuple[int, int], draw: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut one part out of an image (H, W, 3) and its mask (H, W), both uint8, squashed to (h, w), perhaps mirrored.

    draw: five numbers from 0 to 1: the area, from a quarter of the image to all of it; the stretch, to 4/3 either way;
    the place, down and across; mirrored from 0.5. The image is antialiased, the mask's labels are the nearest. A mask
    of another size than its image is cut in proportion.
    """
    area, stretch, down, across, side = draw
    share = math.sqrt(SMALLEST + (1 - SMALLEST) * area)
    root = math.sqrt(LARGEST_STRETCH) ** (2 * stretch - 1)
    tall, wide = min(1.0, share / root), min(1.0, share * root)
    top, left = (1 - tall) * down, (1 - wide) * across

    def cut(pixels: np.ndarray, filtering: Image.Resampling) -> np.ndarray:
        height, width = pixels.shape[:2]
        box = (left * width, top * height, min(width, (left + wide) * width), min(height, (top + tall) * height))
        part = np.array(Image.fromarray(pixels).resize((size[1], size[0]), filtering, box=box))
        return np.ascontiguousarray(part[:, ::-1]) if side >= 0.5 else part

    return cut(image, Image.Resampling.BICUBIC), cut(mask, Image.Resampling.NEAREST)
