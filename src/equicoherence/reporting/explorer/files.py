"""Pictures as files inside a page: WebP, or PNG where Pillow was built without it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, features

from equicoherence.reporting.markup import data_uri

PIXELS = 128  # larger pictures are reduced, which keeps the page small
SMALL = 64  # pictures up to here are drawn enlarged, so that what compression does to them would be seen
QUALITY = {True: 92, False: 82}


def reduced(pictures: np.ndarray, side: int = PIXELS) -> np.ndarray:
    """Return pictures (..., S, S, 3) uint8, by averaging, with at most ``side`` pixels a side."""
    size = pictures.shape[-2]
    if size <= side:
        return pictures
    flat = pictures.reshape(-1, *pictures.shape[-3:])
    small = [np.asarray(Image.fromarray(each).resize((side, side), Image.Resampling.BOX)) for each in flat]
    return np.stack(small).reshape(*pictures.shape[:-3], side, side, 3)


def strip(pictures: np.ndarray, exact: bool = False) -> str:
    """Return pictures (T, S, S, 3) uint8 beside each other as the address of one image that carries itself.

    exact: keep every pixel, as pictures of a few pixels need it.
    """
    count, height, width, _ = pictures.shape
    wide = pictures.swapaxes(0, 1).reshape(height, count * width, 3)
    return address(wide, small=width <= SMALL, exact=exact)


def address(pixels: np.ndarray, small: bool = True, exact: bool = False) -> str:
    """Return one picture (H, W, 3) uint8 as an address that carries itself.

    small: whether it is shown enlarged. exact: whether every pixel is kept.
    """
    buffer, picture = io.BytesIO(), Image.fromarray(np.ascontiguousarray(pixels))
    if features.check("webp"):
        picture.save(buffer, format="WebP", quality=QUALITY[small], method=4, lossless=exact)
        return data_uri(buffer.getvalue(), "image/webp")
    picture.save(buffer, format="PNG", optimize=True)
    return data_uri(buffer.getvalue(), "image/png")
