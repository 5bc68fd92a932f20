"""The channels and bits of images, read from the first bytes of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from equicoherence.data.npy import npy_header
from equicoherence.data.pixel_format import PICTURE, PixelFormat
from equicoherence.data.source import printable

PROBED = 32  # files that are looked into, evenly spread
PAGES = 1024  # of a tiff file, at most, that count as its channels
GRAY, RGB = (0, 1), 2  # a tiff's photometric interpretation: white is 0, black is 0; red, green and blue
CONVERTED = {5: "CMYK", 6: "YCbCr"}  # others, which Pillow converts to RGB if they have 8 bits
ALPHA = (1, 2)  # what a tiff calls a sample beside the colors, where it is opacity
NUMPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURES = (b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"P1", b"P2", b"P3", b"P4")  # kinds of 8 bits alone
_SPACE = rb"\s+(?:#[^\n]*\n\s*)*"
PNM = re.compile(rb"P[56]" + (_SPACE + rb"(\d+)") * 3 + rb"\s")  # width, height, white


class OddFormat(ValueError):
    """Say why the values of a file are none that an image may have."""


def format_of(file: BinaryIO) -> PixelFormat | None:
    """Return the format that the image in a file is kept with, from its header; None if it is not understood.

    Of a tiff file several gray pages of one size are the channels of one image.

    Raises:
        OddFormat: an array of values that have no white, or of a shape that is no image; a tiff file whose header
            cannot be read, or of more than 8 bits of other colors than RGB.
    """
    start = file.read(512)
    if start.startswith(b"\x89PNG\r\n\x1a\n") and len(start) > 24:
        return PixelFormat(bits=16 if start[24] == 16 else 8)
    if (pnm := PNM.match(start)) is not None:
        return PixelFormat(bits=8 if int(pnm[3]) < 256 else 16)
    try:
        if start.startswith(NUMPY):
            return _of_array(start + file.read(2**16))
        if start.startswith(_TIFF):
            return _of_tiff(start, file)
    except OddFormat:
        raise
    except Exception:  # damaged ones raise anything
        return None
    return PICTURE if start.startswith(_PICTURES) else None


def channel_axis(shape: Sequence[int]) -> int:
    """Return which axis of three holds an array's channels: the shorter one of the first and the last, the last where
    they are alike."""
    return 0 if shape[0] < shape[2] else 2


def _of_array(start: bytes) -> PixelFormat:
    shape, dtype = npy_header(start)
    if (native := dtype.newbyteorder("=")) not in (np.uint8, np.uint16):
        raise OddFormat(f"its values are {native}, which have no white: write uint8, or uint16 from 0 to 65535")
    if len(shape) not in (2, 3) or not all(shape):
        raise OddFormat(f"its shape is {shape}: an image is (H, W), (H, W, C) or (C, H, W)")
    channels = 1 if len(shape) == 2 else shape[channel_axis(shape)]
    return PixelFormat(3 if channels == 1 else channels, 8 * dtype.itemsize)


def _of_tiff(start: bytes, file: BinaryIO) -> PixelFormat:
    pages = list(_pages(start, file))
    first = pages[0]
    samples, bits = first.get(277, 1), max(first.get(258, (1,)))
    photometric, extra = first.get(262), first.get(338, ())
    if bits > 8 and photometric in CONVERTED:
        raise OddFormat(
            f"it is a {CONVERTED[photometric]} image of {bits} bits a channel, and only those of 8 bits become RGB: "
            "convert it to RGB, or to 8 bits"
        )
    if samples == 1 and photometric in GRAY and len(pages) > 1 and _one_size(pages):
        channels = len(pages)
    elif samples == 2 or (samples > 3 and (photometric in GRAY or photometric == RGB)):
        channels = 3 if len(extra) == 1 and extra[0] in ALPHA else samples
    else:
        channels = 3
    return PixelFormat(channels, 8 if bits <= 8 else 16)


def _pages(start: bytes, file: BinaryIO) -> list[ImageFileDirectory_v2]:
    """Return the tags of the pages of a tiff file."""
    if start.startswith(b"MM\0+"):
        raise OddFormat("it is a BigTIFF of big-endian numbers, whose header cannot be read: write it little-endian")
    header = start[: 16 if start.startswith(b"II+\0") else 8]
    place = ImageFileDirectory_v2(header).next
    pages: list[ImageFileDirectory_v2] = []
    while place and len(pages) < PAGES:
        tags = ImageFileDirectory_v2(header)
        file.seek(place)
        tags.load(file)
        if not (tags.get(256) and tags.get(257)):
            raise ValueError("it is cut off")
        pages.append(tags)
        place = tags.next
    return pages


def _one_size(pages: Sequence[ImageFileDirectory_v2]) -> bool:
    """Say whether pages are of one size and kind, none of them a smaller copy of another."""
    kinds = {(page.get(256), page.get(257), page.get(277, 1), page.get(258)) for page in pages}
    return len(kinds) == 1 and not any(page.get(254, 0) & 1 for page in pages)


def format_of_all(count: int, name: Callable[[int], str], open_file: Callable[[int], BinaryIO]) -> PixelFormat:
    """Return the format that images are kept with: as many bits as any of some of them has.

    count: of the images. name: gives that of a number. open_file: opens the image of a number; one that cannot be
    opened, or is not understood, is left out.

    Raises:
        ValueError: they have different numbers of channels, or values that no image may have.
    """
    found: dict[int, str] = {}
    bits = 8
    for index in range(0, count, max(1, count // PROBED)):
        try:
            with open_file(index) as file:
                own = format_of(file)
        except OSError:
            continue
        except OddFormat as error:
            raise ValueError(f"{printable(name(index))}: {error}") from error
        if own is None:
            continue
        found.setdefault(own.channels, name(index))
        bits = max(bits, own.bits)
    if len(found) > 1:
        told = ", ".join(f"{channels} of {printable(first)}" for channels, first in found.items())
        raise ValueError(f"images have different numbers of channels: {told}; keep those of one number together")
    return PixelFormat(next(iter(found), 3), bits)
