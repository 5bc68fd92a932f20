"""Small pictures, made for real, that the tests of this folder share."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

OLD_PILLOW = int(PIL.__version__.partition(".")[0]) < 13  # takes YCbCr tiff files without compression for RGB


def quarters(width: int = 60, height: int = 40) -> Image.Image:
    """Paint a quarter each red, green, blue and white, so that any turn or flip shows."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(number: int, side: int = 20) -> bytes:
    """Encode a PNG of noise that is different for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side + 4, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def noise_folder(folder: Path, count: int, bad: tuple[int, ...] = ()) -> Path:
    """Write ``000.png``, ``001.png``, ... in two class folders in turn, some of them not images."""
    for number in range(count):
        path = folder / ("cat" if number < count // 2 else "dog") / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"this is no image" if number in bad else noise(number))
    return folder
