"""Images of more than 8 bits, or of channels that are no colors, as arrays."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from equicoherence.data.npy import read_npy
from equicoherence.data.pixel_format import BACKGROUND, PixelFormat
from equicoherence.data.probing import ALPHA, CONVERTED, GRAY, NUMPY, PAGES, PNM, channel_axis

PNG = b"\x89PNG\r\n\x1a\n"
PNG_COLORS = (2, 4, 6)  # kinds of a png file of more than one channel
LARGEST_PIXEL_COUNT = 2**27
"""Images of more pixels (about 11,600 x 11,600) are refused: decoding one takes over half a gigabyte. Of those of more
than three channels, fewer: as many values in all."""


def refuse_large(width: int, height: int, channels: int = 3) -> None:
    """Raise ValueError for an image of more than ``LARGEST_PIXEL_COUNT`` pixels."""
    most = 3 * LARGEST_PIXEL_COUNT // max(channels, 3)
    if width * height > most:
        several = f" of {channels} channels" if channels > 3 else ""
        raise ValueError(f"{width} x {height} pixels{several}; at most {most} in all are decoded")


def read_array(data: bytes, image: Image.Image | None) -> np.ndarray:
    """Return the values of a file (H, W, C), all of its bits; opacity is blended with mid-grey.

    Whole numbers of 32 bits and floats, which state no white, are stretched from their own minimum to their own
    maximum. image: the file as Pillow opened it, None if it has not.

    Raises:
        ImportError: a tiff file of several channels without tifffile, or a deep one of colors in png without
            imagecodecs.
        ValueError: values that are not finite, or too many; and whatever readers raise for damaged files.
    """
    if data.startswith(NUMPY):
        array = read_npy(data)
        array = np.moveaxis(array, channel_axis(array.shape), 2) if array.ndim == 3 else array[..., None]
        refuse_large(array.shape[1], array.shape[0], array.shape[2])
        return array
    if data.startswith(PNG) and data[24] == 16 and data[25] in PNG_COLORS:
        return _deep_png(data)
    if data[:2] == b"P6" and (header := PNM.match(data)) and int(header[3]) > 255:
        return _deep_ppm(data)
    if data[:2] in (b"II", b"MM") and _needs_tifffile(image):
        return _tiff(data)
    assert image is not None
    if image.mode == "F" or image.mode.startswith("I"):
        return _sixteen_bits(np.asarray(image), stated=_states_white(image))[..., None]
    if image.has_transparency_data:
        return _blended(np.asarray(image.convert("RGBA")))
    array = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return array[..., None] if array.ndim == 2 else array


def square_array(array: np.ndarray, size: int, format: PixelFormat) -> np.ndarray:
    """Squash an array (H, W, C) with an antialiased bicubic filter to (size, size, channels) of a format.

    One channel is repeated where the format has three; bytes are spread over 16 bits where it has these.

    Raises ValueError where the format has other channels, or fewer bits.
    """
    channels, depth = array.shape[2], 8 * array.dtype.itemsize
    format.check_image(PixelFormat(3 if channels == 1 else channels, depth))
    squared = np.empty((size, size, format.channels), format.dtype)
    for channel in range(1 if channels == 1 else channels):
        plane = Image.fromarray(np.ascontiguousarray(array[..., channel], np.float32))
        found = np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0))
        squared[..., channel] = np.rint(found * (format.white / (2**depth - 1))).clip(0, format.white)
    if channels == 1:
        squared[...] = squared[..., :1]
    return squared


def _states_white(image: Image.Image) -> bool:
    """Say whether the values of an image are of 16 bits, whose white is known."""
    return image.mode != "F" and (image.mode != "I" or image.format in ("PPM", "PNG"))


def _sixteen_bits(values: np.ndarray, stated: bool) -> np.ndarray:
    if stated:
        return values.clip(0, 65535).astype(np.uint16)
    values = values.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it holds values that are not finite")
    return np.rint((values - low) * (65535 / ((high - low) or 1.0))).astype(np.uint16)


def _deep_png(data: bytes) -> np.ndarray:
    try:
        from imagecodecs import png_decode  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "png files of 16 bits a color need imagecodecs, as Pillow drops 8 of them: pip install "
            "'equicoherence[tiff]'"
        ) from error
    array = np.asarray(png_decode(data))
    return _blended(array) if array.shape[2] in (2, 4) else array


def _blended(array: np.ndarray) -> np.ndarray:
    """Blend the colors of an array with mid-grey, by its last channel."""
    white = np.iinfo(array.dtype).max
    share = array[..., -1:].astype(np.float64) / white
    return np.rint(array[..., :-1] * share + (1 - share) * white * BACKGROUND).astype(array.dtype)


def _deep_ppm(data: bytes) -> np.ndarray:
    header = PNM.match(data)
    assert header is not None
    width, height, white = map(int, header.groups())
    values = np.frombuffer(data, ">u2", width * height * 3, header.end()).reshape(height, width, 3)
    return np.rint(values * (65535 / white)).clip(0, 65535).astype(np.uint16)


def _needs_tifffile(image: Image.Image | None) -> bool:
    """Say whether Pillow reads less of a tiff file than there is.

    It has one page, and one channel of more than 8 bits, at most; ink and luma of 8 bits, which tifffile leaves as they
    are, it turns into colors.
    """
    if image is None:
        return True
    bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
    if image.mode in CONVERTED.values() and max(bits) <= 8:
        return False
    return getattr(image, "n_frames", 1) > 1 or len(bits) > 1


def _tiff(data: bytes) -> np.ndarray:
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(
            "tiff files of several channels, pages or 16 bits a color need tifffile: pip install 'equicoherence[tiff]'"
        ) from error
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages: list[Any] = list(islice(file.pages, PAGES))
        first = pages[0]
        pages = pages if int(first.photometric) in GRAY and _one_size(pages) else pages[:1]
        channels = first.samplesperpixel if first.samplesperpixel > 1 else len(pages)
        refuse_large(first.imagewidth, first.imagelength, channels * first.imagedepth)
        if first.samplesperpixel > 1:
            array = first.asarray(maxworkers=1)
            array = np.moveaxis(array, 0, 2) if first.planarconfig == 2 else array
            extra = tuple(int(kind) for kind in first.extrasamples)
            if array.dtype in (np.uint8, np.uint16):
                return _blended(array) if len(extra) == 1 and extra[0] in ALPHA else array
        else:
            array = np.stack([page.asarray(maxworkers=1) for page in pages], axis=2)
    if array.dtype in (np.uint8, np.uint16):
        return array
    return _sixteen_bits(array, stated=False)


def _one_size(pages: list[Any]) -> bool:
    """Say whether pages are channels of one image, as `format_of` says it of their headers."""
    kinds = {(page.imagewidth, page.imagelength, page.samplesperpixel, page.bitspersample) for page in pages}
    return len(kinds) == 1 and not any(page.is_reduced for page in pages)
