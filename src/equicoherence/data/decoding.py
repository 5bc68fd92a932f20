"""The decoding of one image file, whatever its kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import PIL
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from equicoherence.data.arrays import read_array, refuse_large, square_array
from equicoherence.data.pixel_format import BACKGROUND, PICTURE, PixelFormat
from equicoherence.data.probing import CONVERTED, NUMPY, format_of
from equicoherence.data.source import BadImage, Sample, printable

T = TypeVar("T")
_GREY = (round(BACKGROUND * PICTURE.white),) * 3

# The readers are called by name, and not through Image.open: that one warns about sizes between half of Pillow's
# own limit and the limit itself, and warnings cannot be silenced safely while other threads run.
_READERS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"BM", BmpImageFile),
    (b"GIF8", GifImageFile),
    (b"RIFF", WebPImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II+\0", TiffImageFile),
    (b"MM\0+", TiffImageFile),
    *((b"P%d" % kind, PpmImageFile) for kind in range(1, 7)),
)
_ORIENTATION_TAG = 0x0112
_PHOTOMETRIC = 262  # the tag of a tiff file
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, size: int, name: str, format: PixelFormat | None = None) -> Sample:
    """Decode the bytes of an image file to a square of ``size`` pixels.

    The whole image is resized with an antialiased bicubic filter. The format is recognised by the first bytes, not by
    the name. Of an animation the first frame is taken; EXIF rotation is applied; transparency shows mid-grey;
    32-bit integers and floats, which state no white, are stretched from their own minimum to their own maximum.

    Args:
        data: The file's bytes.
        size: Side of the square in pixels.
        name: What to call the image in an error.
        format: Channels and bits of the result. None: three of 8, to which 16-bit values are scaled by 1/257.

    Raises:
        BadImage: empty, not an image, truncated or damaged, too large (see `refuse_large`), or of other channels or
            more bits than ``format``.
    """
    if format is not None:
        _check_format(data, name, format)
        if format != PICTURE or data.startswith(NUMPY):
            return _deep(data, name, size, format)
    return _read(data, name, lambda image: _square(image, size))


def decode_whole(data: bytes, name: str, *, turn: bool = True) -> np.ndarray:
    """Decode the bytes of an image file at its own size: (H, W, 3) uint8 RGB; else as `decode`.

    turn: whether EXIF rotation is applied. Ground truth in pixels refers to the stored pixels, so images with it are
    not rotated.
    """
    return _read(data, name, lambda image: _whole(image, turn))


def _read(data: bytes, name: str, take: Callable[[ImageFile.ImageFile], T]) -> T:
    """Open an image and return what ``take`` makes of it; `BadImage` for all that can be wrong with it."""
    if not data:
        raise BadImage(name, "the file is empty")
    reader = next((reader for start, reader in _READERS if data.startswith(start)), None)
    if reader is None:
        raise BadImage(name, f"not an image of a known kind (it starts with {data[:8]!r})")
    try:
        with reader(io.BytesIO(data)) as image:
            _check_opened(image)
            return take(image)
    except (BadImage, ImportError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything on damaged files: OSError, SyntaxError, struct.error, ...
        raise BadImage(name, printable(str(error)) or type(error).__name__) from error


def _check_opened(image: ImageFile.ImageFile) -> None:
    """Raise ValueError, before pixels are read, for what is too large (see `refuse_large`), and for a YCbCr tiff file
    without compression that Pillow takes for RGB, as it did before 13."""
    refuse_large(*image.size)
    kind = CONVERTED.get(getattr(image, "tag_v2", {}).get(_PHOTOMETRIC, -1))
    if kind == "YCbCr" and image.mode == "RGB" and image.tile and image.tile[0][0] == "raw":
        raise ValueError(
            f"it is a YCbCr image without compression, which Pillow {PIL.__version__} reads as RGB: pip install "
            "'pillow>=13', or save it as RGB"
        )


def _check_format(data: bytes, name: str, format: PixelFormat) -> None:
    """Refuse a file that cannot be kept with a format, before any reader is needed; damage is found later."""
    try:
        if (own := format_of(io.BytesIO(data))) is not None:
            format.check_image(own)
    except ValueError as error:
        raise BadImage(name, str(error)) from error


def _deep(data: bytes, name: str, size: int, format: PixelFormat) -> Sample:
    """Decode with all bits and channels, turned as EXIF says."""
    if data.startswith((NUMPY, b"II", b"MM")):  # Pillow does not know all that tiff files may hold
        return _squared(data, None if data.startswith(NUMPY) else _opened(data), name, size, format)
    return _read(data, name, lambda image: _squared(data, image, name, size, format))


def _opened(data: bytes) -> ImageFile.ImageFile | None:
    """Open a tiff file, None if Pillow does not."""
    try:
        return TiffImageFile(io.BytesIO(data))
    except Exception:
        return None


def _squared(data: bytes, image: ImageFile.ImageFile | None, name: str, size: int, format: PixelFormat) -> Sample:
    try:
        if image is not None:
            _check_opened(image)
        turn = None if image is None else _TURNS.get(_orientation(image))
        array = read_array(data, image)
        height, width = array.shape[:2]
        pixels = square_array(array, size, format)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # as in `_read`
        raise BadImage(name, printable(str(error)) or type(error).__name__) from error
    if turn is not None:
        pixels = _turned(pixels, turn)
    if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
        width, height = height, width
    return Sample(np.ascontiguousarray(pixels), width / height, min(width, height))


def _turned(pixels: np.ndarray, turn: Image.Transpose) -> np.ndarray:
    """Do to an array what Pillow's transpose does to an image."""
    flips = {
        Image.Transpose.FLIP_LEFT_RIGHT: lambda a: a[:, ::-1],
        Image.Transpose.FLIP_TOP_BOTTOM: lambda a: a[::-1],
        Image.Transpose.ROTATE_90: lambda a: np.rot90(a, 1),
        Image.Transpose.ROTATE_180: lambda a: np.rot90(a, 2),
        Image.Transpose.ROTATE_270: lambda a: np.rot90(a, 3),
        Image.Transpose.TRANSPOSE: lambda a: a.swapaxes(0, 1),
        Image.Transpose.TRANSVERSE: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    }
    return flips[turn](pixels)


def _whole(image: ImageFile.ImageFile, turned: bool) -> np.ndarray:
    image.load()
    turn = _TURNS.get(_orientation(image)) if turned else None
    plain = _plain_mode(image)
    if plain.mode == "RGBA":
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, (*_GREY, 255)), plain)
    return np.array((plain if turn is None else plain.transpose(turn)).convert("RGB"))


def _square(image: ImageFile.ImageFile, size: int) -> Sample:
    width, height = image.size
    # A JPEG decodes at 1/2, 1/4 or 1/8 of its size for a fraction of the time; 2 x size leaves the filter its work.
    drafted = image.draft(image.mode, (2 * size, 2 * size))
    image.load()
    box = drafted[1] if drafted else (0, 0, *image.size)
    if not drafted:
        width, height = image.size  # a TIFF turns itself while it loads
    turn = _TURNS.get(_orientation(image))
    square = _plain_mode(image).resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    if square.mode == "RGBA":
        square = Image.alpha_composite(Image.new("RGBA", square.size, (*_GREY, 255)), square)
    if turn is not None:
        square = square.transpose(turn)  # after the resize: a square keeps its shape
    if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
        width, height = height, width
    return Sample(np.array(square.convert("RGB")), width / height, min(width, height))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a damaged EXIF block raises anything, and the picture is whole without it
        return 1


def _plain_mode(image: Image.Image) -> Image.Image:
    """Bring any mode to L, RGB or RGBA; Pillow would resize palettes and bitmaps without a filter."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float32)
    low, high = 0.0, 65535.0
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PPM", "PNG")):
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ValueError("it holds values that are not finite")
    scaled = (values - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))
