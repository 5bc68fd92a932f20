import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.data import BadImage, ImageFolder, decode
from equicoherence.data.arrays import LARGEST_PIXEL_COUNT
from equicoherence.data.images import SUFFIXES

from .pictures import OLD_PILLOW, encoded, noise, quarters

CORNERS = ((4, 4), (4, 27), (27, 4), (27, 27))


def corners(pixels: np.ndarray) -> list[list[int]]:
    return [pixels[row, column].tolist() for row, column in CORNERS]


def close(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 3.0) -> bool:
    return float(np.abs(pixels.astype(float) - expected.astype(float)).mean()) < tolerance


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("PPM", {}),
    ],
)
def test_each_kind_of_file_shows_the_same_picture(kind, options):
    sample = decode(encoded(quarters(), kind, **options), 32, "picture")
    assert sample.pixels.shape == (32, 32, 3)
    assert sample.pixels.dtype == np.uint8
    assert sample.aspect == 1.5
    expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    assert np.abs(np.array(corners(sample.pixels)) - expected).max() <= 4


def test_the_whole_image_is_squashed_and_antialiased():
    stripes = np.zeros((64, 256), dtype=np.uint8)
    stripes[:, ::2] = 255  # finer than the target's pixels: without a filter it would come out black or white
    stripes[:, :8] = 255
    pixels = decode(encoded(Image.fromarray(stripes), "PNG"), 32, "stripes").pixels
    assert abs(int(pixels[:, 4:].mean()) - 127) < 2
    assert (pixels[:, 0] > 240).all()  # the left edge is still there


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_color_modes_become_rgb(mode):
    kind = {"CMYK": "JPEG", "YCbCr": "TIFF"}.get(mode, "PNG")
    data = encoded(Image.new("RGB", (12, 8), (255, 255, 255)).convert(mode), kind)
    if mode == "YCbCr" and OLD_PILLOW:
        with pytest.raises(BadImage, match=r"YCbCr image without compression.*pip install 'pillow>=13'"):
            decode(data, 16, "mode")
        return
    assert (decode(data, 16, "mode").pixels >= 253).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_values_are_scaled_and_not_clipped(kind):
    ramp = np.linspace(0, 65535, 32).astype(np.uint16)
    pixels = decode(encoded(Image.fromarray(np.tile(ramp, (32, 1))), kind), 32, "ramp").pixels
    assert np.array_equal(pixels[0, :, 0], np.rint(ramp / 257.0))


def test_sixteen_bit_ppm_and_pgm_are_scaled_too():
    grey = decode(b"P5 2 2 65535\n" + np.full(4, 32896, dtype=">u2").tobytes(), 4, "pgm").pixels
    color = decode(b"P6 2 2 65535\n" + np.full(12, 32896, dtype=">u2").tobytes(), 4, "ppm").pixels
    assert (grey == 128).all()
    assert (color == 128).all()


def test_floats_are_stretched_from_their_own_minimum_to_their_own_maximum():
    ramp = np.tile(np.linspace(-3.0, 5.0, 32, dtype=np.float32), (32, 1))
    pixels = decode(encoded(Image.fromarray(ramp), "TIFF"), 32, "ramp").pixels
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)
    ramp[0, 0] = np.nan
    with pytest.raises(BadImage, match="not finite"):
        decode(encoded(Image.fromarray(ramp), "TIFF"), 32, "ramp")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_pixels_show_mid_grey(mode):
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 4, 8))
    if mode in ("P", "L"):  # transparency as one entry or one value
        image = Image.fromarray(np.repeat(np.array([[1, 0]], dtype=np.uint8), 4, axis=1).repeat(8, axis=0))
        image = image.point([0, 255] + [0] * 254) if mode == "L" else image
        if mode == "P":
            image.putpalette([0, 0, 0, 255, 255, 255])
        data = encoded(image, "PNG", transparency=0)
    else:
        data = encoded(image.convert(mode), "PNG")
    pixels = decode(data, 8, "transparent").pixels
    assert (pixels[:, :3] >= 253).all()
    assert np.abs(pixels[:, 5:].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_to_pixels_and_aspect(kind, orientation):
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what a camera held that way would have stored
    upright = quarters()
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    sample = decode(encoded(stored, kind, exif=exif, **options), 32, "turned")
    assert sample.aspect == 1.5
    assert close(sample.pixels, decode(encoded(upright, "PNG"), 32, "upright").pixels)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_does_not_cost_the_picture():
    data = encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\x01" * 40)
    assert decode(data, 16, "exif").aspect == 1.5


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(kind):
    frames = [Image.new("RGB", (10, 10), color) for color in ((200, 0, 0), (0, 200, 0))]
    pixels = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), 8, "film").pixels
    assert np.abs(pixels.astype(int) - (200, 0, 0)).max() <= 4


def test_one_pixel_fills_the_square():
    sample = decode(encoded(Image.new("RGB", (1, 1), (10, 20, 30)), "PNG"), 24, "dot")
    assert (sample.pixels == (10, 20, 30)).all()
    assert sample.aspect == 1.0


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same():
    large = quarters(1203, 801)  # sides that the fraction does not divide
    data = encoded(large, "JPEG", quality=95)
    assert close(decode(data, 32, "large").pixels, decode(encoded(large, "PNG"), 32, "large").pixels, 1.5)
    assert decode(data, 32, "large").aspect == 1203 / 801
    assert decode(data, 32, "large").side == 801


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_decompression_bomb_is_refused_without_a_warning(side):
    assert side * side > LARGEST_PIXEL_COUNT
    with warnings.catch_warnings(record=True) as caught, pytest.raises(BadImage, match=f"{side} x {side} pixels"):
        decode(png_that_claims(side, side), 16, "bomb")
    assert caught == []


def test_a_picture_above_half_of_pillows_limit_is_decoded_without_a_warning():
    assert Image.MAX_IMAGE_PIXELS is not None
    side = int(Image.MAX_IMAGE_PIXELS**0.5) + 1
    data = encoded(Image.new("L", (side, side), 77), "JPEG")
    assert np.abs(decode(data, 16, "huge").pixels.astype(int) - 77).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file_of_any_kind_is_bad(kind, share):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(pixels), kind)
    with pytest.raises(BadImage) as caught:
        decode(data[: int(len(data) * share)], 32, "cut")
    assert caught.value.name == "cut"
    assert caught.value.reason


def test_flipped_bytes_anywhere_give_a_sample_or_a_bad_image_and_nothing_else():
    data = bytearray(encoded(quarters(), "PNG"))
    outcomes = set()
    for position in range(8, len(data), 3):
        damaged = bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        try:
            outcomes.add(decode(damaged, 8, "damaged").pixels.shape)
        except BadImage:
            outcomes.add("bad")
    assert "bad" in outcomes
    assert outcomes <= {"bad", (8, 8, 3)}


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"<html>not found</html>", "not an image"), (b"\xff\xd8\xff", ".")]
)
def test_what_is_not_an_image_is_bad_and_says_why(data, reason):
    with pytest.raises(BadImage, match=reason):
        decode(data, 16, "page.jpg")


def test_the_kind_is_told_from_the_bytes_and_not_from_the_name(tmp_path):
    (tmp_path / "really_a_png.jpg").write_bytes(noise(0))
    assert ImageFolder(tmp_path).load(0, 8).pixels.shape == (8, 8, 3)


def test_a_folder_is_read_in_sorted_order_with_the_first_folder_as_class(tmp_path):
    for name in ("zebra/b.png", "zebra/a/deep.png", "ant/1.png", "top.png", "ant/.hidden.png", "ant/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(noise(0))
    folder = ImageFolder(tmp_path)
    assert [folder.name(i) for i in range(len(folder))] == ["ant/1.png", "top.png", "zebra/a/deep.png", "zebra/b.png"]
    assert folder.classes == ["ant", "zebra"]
    assert folder.labels.tolist() == [0, -1, 1, 1]
    assert folder.labels.dtype == np.int64


def test_every_listed_suffix_is_found_in_any_case(tmp_path):
    for suffix in SUFFIXES:
        (tmp_path / f"lower{suffix}").write_bytes(noise(0))
        (tmp_path / f"UPPER{suffix.upper()}").write_bytes(noise(0))
    assert len(ImageFolder(tmp_path)) == 2 * len(SUFFIXES) == 26
    assert ImageFolder(tmp_path).classes == []


@pytest.mark.parametrize(
    ("file_name", "shown"),
    [
        (b"two words.png", "two words.png"),
        ("gr\u00f6\u00dfe \u732b.png".encode(), "gr\u00f6\u00dfe \u732b.png"),
        (b"new\nline.png", "new\\nline.png"),
        (b"not utf-8 \xff.png", "not utf-8 \\udcff.png"),
    ],
)
def test_odd_names_are_read_and_shown_on_one_printable_line(tmp_path, file_name, shown):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + file_name)).write_bytes(noise(0))
    except OSError:
        pytest.skip("this file system does not take such a name")
    folder = ImageFolder(tmp_path)
    assert folder.name(0) == shown
    assert folder.load(0, 8).pixels.shape == (8, 8, 3)
    shown.encode("utf-8")


@contextmanager
def somebody_else() -> Iterator[None]:
    """Read as a user without rights; permissions do not hold the superuser."""
    superuser = os.geteuid() == 0
    if superuser:
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)


def test_a_file_without_permission_is_bad(tmp_path):
    (tmp_path / "secret.png").write_bytes(noise(0))
    folder = ImageFolder(tmp_path)
    (tmp_path / "secret.png").chmod(0)
    with somebody_else(), pytest.raises(BadImage, match=r"secret\.png: cannot be read: Permission denied"):
        folder.load(0, 8)


def test_a_dangling_link_is_bad_and_a_link_in_a_circle_is_not_followed_twice(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "class" / "up").symlink_to(tmp_path, target_is_directory=True)
    folder = ImageFolder(tmp_path)
    assert [folder.name(i) for i in range(len(folder))] == ["class/gone.png"]
    with pytest.raises(BadImage, match="No such file"):
        folder.load(0, 8)


def test_a_folder_that_is_missing_or_holds_no_image_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder at '.*/nowhere'"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no images in '.*': give a folder .*\.jpeg \.jpg"):
        ImageFolder(tmp_path)


def test_a_folder_of_archives_alone_names_them(tmp_path):
    (tmp_path / "pets.TAR.gz").touch()
    (tmp_path / ".hidden.zip").touch()
    (tmp_path / "folder.zip").mkdir()
    place = re.escape(str(tmp_path / "pets.TAR.gz"))
    with pytest.raises(ValueError, match=rf"no images in .*; it holds 1 \.gz \('pets\.TAR\.gz'\): give '{place}'"):
        ImageFolder(tmp_path)
    (tmp_path / "birds.zip").touch()
    with pytest.raises(ValueError, match=r"'pets\.TAR\.gz'\), 1 \.zip \('birds\.zip'\): give one of the archives"):
        ImageFolder(tmp_path)


def test_decoding_leaves_pillows_own_limit_alone():
    before = Image.MAX_IMAGE_PIXELS
    decode(noise(0), 8, "picture")
    assert before == Image.MAX_IMAGE_PIXELS
    with pytest.raises(Image.DecompressionBombWarning):  # an error here, as warnings are in these tests
        Image.open(io.BytesIO(png_that_claims(12_000, 12_000)))
