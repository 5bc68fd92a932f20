"""Images of more than 8 bits or of other than three channels keep what they hold, in each kind of file."""

from __future__ import annotations

import io
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from equicoherence.data import BadImage, Loader, decode, describe_images, open_images
from equicoherence.data.pixel_format import PICTURE, PixelFormat
from equicoherence.paths import Pyramid, State, render

from .pictures import OLD_PILLOW, encoded, noise

SIDE = 32
RAMP = np.tile((20_000 + np.arange(SIDE)).astype(np.uint16), (SIDE, 1))  # one value of 8 bits: 20,000 / 257 to 78
COLORS = np.stack([RAMP, RAMP + 100, RAMP + 200], axis=2)
STACK = np.stack([RAMP + 10 * channel for channel in range(6)])


def deep_png(array: np.ndarray, kind: int) -> bytes:
    """Encode a PNG of 16 bits a channel, which Pillow cannot write. kind: of its colors, 2 RGB, 6 RGBA."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, kind, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


GRAY = np.repeat(RAMP[..., None], 3, axis=2)
CASES: dict[str, tuple[str, Callable[[], bytes], np.ndarray]] = {
    "gray png": ("png", lambda: encoded(Image.fromarray(RAMP), "PNG"), GRAY),
    "gray tiff": ("tif", lambda: encoded(Image.fromarray(RAMP), "TIFF"), GRAY),
    "gray array": ("npy", lambda: npy(RAMP), GRAY),
    "big-endian array": ("npy", lambda: npy(COLORS.astype(">u2")), COLORS),
    "color png": ("png", lambda: deep_png(COLORS, 2), COLORS),
    "color ppm": ("ppm", lambda: b"P6 # no\n32 32 65535\n" + COLORS.astype(">u2").tobytes(), COLORS),
    "color tiff": ("tif", lambda: tiff(COLORS, photometric="rgb"), COLORS),
    "pages": ("tif", lambda: tiff(STACK, photometric="minisblack"), STACK.transpose(1, 2, 0)),
    "bands": (
        "tif",
        lambda: tiff(STACK.transpose(1, 2, 0), photometric="minisblack", planarconfig="contig"),
        STACK.transpose(1, 2, 0),
    ),
    "planes": (
        "tif",
        lambda: tiff(STACK, photometric="minisblack", planarconfig="separate"),
        STACK.transpose(1, 2, 0),
    ),
    "channels first": ("npy", lambda: npy(STACK), STACK.transpose(1, 2, 0)),
    "channels last": ("npy", lambda: npy(STACK.transpose(1, 2, 0)), STACK.transpose(1, 2, 0)),
    "bytes of five": ("npy", lambda: npy((STACK[:5] % 251).astype(np.uint8)), (STACK[:5] % 251).transpose(1, 2, 0)),
}


def folder_of(tmp_path: Path, ending: str, *files: bytes) -> Path:
    for number, data in enumerate(files):
        (tmp_path / f"{number}.{ending}").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_a_ramp_that_8_bits_would_flatten_keeps_each_step(case: str, tmp_path: Path) -> None:
    if case == "color png":
        pytest.importorskip("imagecodecs", reason="Pillow drops 8 of the 16 bits of such files")
    ending, make, expected = CASES[case]
    source = open_images(folder_of(tmp_path, ending, make(), make()))
    bits = 8 if case == "bytes of five" else 16
    assert source.format == PixelFormat(expected.shape[2], bits)
    sample = source.load(1, SIDE)
    assert sample.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.array_equal(sample.pixels, expected)
    said = {(3, 16): "2 images of 16 bits, ", (6, 16): "2 images of 6 channels of 16 bits, "}
    assert describe_images(source).startswith(said.get((expected.shape[2], bits), "2 images of 5 channels, "))


def test_batches_and_views_keep_the_steps_too(tmp_path: Path) -> None:
    source = open_images(
        folder_of(tmp_path, "tif", tiff(COLORS, photometric="rgb"), tiff(COLORS[:, ::-1], photometric="rgb"))
    )
    for kept in (2**20, 0):
        batch = next(iter(Loader(source, SIDE, cache_bytes=kept).batches([np.array([1, 0])])))
        assert batch.images.dtype == torch.uint16
        assert np.array_equal(batch.images[1].numpy(), COLORS.transpose(2, 0, 1))
        view = render(Pyramid.build(batch.images, SIDE), State.identity(2), size=SIDE)
        assert torch.allclose(view[1] * 65535, torch.from_numpy(COLORS.astype(np.float32)).movedim(2, 0), atol=0.02)


def test_8_bits_beside_16_are_spread_over_them(tmp_path: Path) -> None:
    plain = np.full((SIDE, SIDE, 3), 77, np.uint8)
    source = open_images(
        folder_of(tmp_path, "png", encoded(Image.fromarray(plain), "PNG"), encoded(Image.fromarray(RAMP), "PNG"))
    )
    assert source.format.bits == 16
    assert (source.load(0, 8).pixels == 77 * 257).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_a_tiff_of_other_color_modes_becomes_rgb_beside_16_bits(mode: str) -> None:
    data = encoded(Image.new("RGB", (12, 8), (200, 40, 90)).convert(mode), "TIFF")
    if mode == "YCbCr" and OLD_PILLOW:
        with pytest.raises(BadImage, match=r"YCbCr image without compression.*pip install 'pillow>=13'"):
            decode(data, SIDE, "mode", PixelFormat(bits=16))
        return
    pixels = decode(data, SIDE, "mode", PixelFormat(bits=16)).pixels
    assert np.abs(pixels / 257 - (200, 40, 90)).max() < 3
    assert np.array_equal(pixels, 257 * decode(data, SIDE, "mode").pixels.astype(np.uint16))


def test_deep_ink_is_refused_by_its_name(tmp_path: Path) -> None:
    data = tiff(np.dstack([COLORS, RAMP]), photometric="separated")
    sentence = "it is a CMYK image of 16 bits a channel, .*: convert it to RGB, or to 8 bits"
    with pytest.raises(ValueError, match=sentence):
        open_images(folder_of(tmp_path, "tif", data))
    with pytest.raises(BadImage, match=sentence):
        decode(data, SIDE, "ink", PixelFormat(bits=16))


def test_values_without_a_white_are_stretched_over_16_bits(tmp_path: Path) -> None:
    values = np.tile(np.linspace(-3, 5, SIDE, dtype=np.float32), (SIDE, 1))
    pixels = open_images(folder_of(tmp_path, "tif", tiff(values))).load(0, SIDE).pixels
    assert np.array_equal(pixels[0, :, 0], np.rint(np.linspace(0, 65535, SIDE)))


def test_deep_transparent_pixels_show_mid_grey(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs", reason="Pillow drops 8 of the 16 bits of such files")
    alpha = np.where(np.arange(SIDE) < SIDE // 2, 65535, 0).astype(np.uint16)
    held = np.dstack([COLORS, np.broadcast_to(alpha, (SIDE, SIDE))])
    pixels = open_images(folder_of(tmp_path, "png", deep_png(held, 6))).load(0, SIDE).pixels
    assert np.array_equal(pixels[:, : SIDE // 2 - 4], COLORS[:, : SIDE // 2 - 4])
    assert (pixels[:, SIDE // 2 + 4 :] == 32768).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_is_turned_as_it_says(orientation: int, tmp_path: Path) -> None:
    held = tiff(STACK[:, :16], photometric="minisblack", extratags=[(274, "H", 1, orientation, True)])
    plain = STACK[:, :16].transpose(1, 2, 0)
    turned = {
        1: plain, 2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1], 5: plain.swapaxes(0, 1),
        6: np.rot90(plain, -1), 7: plain[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(plain, 1),
    }[orientation]  # fmt: skip
    sample = open_images(folder_of(tmp_path, "tif", held)).load(0, 8)
    (tmp_path / "other").mkdir()
    other = open_images(folder_of(tmp_path / "other", "npy", npy(turned)))
    assert sample.aspect == turned.shape[1] / turned.shape[0]
    assert np.abs(sample.pixels.astype(int) - other.load(0, 8).pixels).max() <= 1


def test_a_deep_image_that_was_not_looked_into_is_refused_and_not_flattened(tmp_path: Path) -> None:
    files = [noise(number) for number in range(100)]
    files[1] = encoded(Image.fromarray(RAMP), "PNG")
    source = open_images(folder_of(tmp_path, "png", *files))
    number = [source.name(index) for index in range(100)].index("1.png")
    assert source.format == PixelFormat()
    with pytest.raises(BadImage, match=r"1.png: it has 16 bits a channel, where the other images have 8: its depth"):
        source.load(number, 8)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([npy(STACK), npy(STACK[:4])], "different numbers of channels: 6 of 0.npy, 4 of 1.npy; keep those of one"),
        ([npy(STACK.astype(np.float32))], "0.npy: its values are float32, which have no white: write uint8, or uint16"),
        ([npy(STACK[None])], r"0.npy: its shape is \(1, 6, 32, 32\): an image is \(H, W\), \(H, W, C\) or \(C, H, W\)"),
    ],
)
def test_arrays_that_are_no_images_are_refused_at_once(files: list[bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        open_images(folder_of(tmp_path, "npy", *files))


def test_the_type_of_values_without_a_white_is_named_in_words_whatever_their_order(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0\.npy: its values are float32, which have no white"):
        open_images(folder_of(tmp_path, "npy", npy(COLORS.astype(">f4"))))


def test_arrays_beside_images_are_none(tmp_path: Path) -> None:
    folder_of(tmp_path, "npy", npy(STACK))
    source = open_images(folder_of(tmp_path, "png", noise(0), noise(1)))
    assert len(source) == 2
    assert "1 .npy ('0.npy')" in describe_images(source)


def test_classes_of_arrays_are_folders_and_pickles_are_never_loaded(tmp_path: Path) -> None:
    for name in ("dry", "wet"):
        (tmp_path / name).mkdir()
        folder_of(tmp_path / name, "npy", npy(STACK), npy(STACK))
    source = open_images(tmp_path)
    assert (source.classes, source.labels.tolist()) == (["dry", "wet"], [0, 0, 1, 1])
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "wet" / "1.npy").write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match=r"wet/1.npy: its values are object"):
        open_images(tmp_path)


def test_shards_of_deep_images_keep_their_bits(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name in ("a.png", "b.png"):
            data = encoded(Image.fromarray(RAMP), "PNG")
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    source = open_images(tmp_path)
    assert np.array_equal(source.load(1, SIDE).pixels, GRAY)


def test_without_tifffile_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_images(folder_of(tmp_path, "tif", CASES["bands"][1]()))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImportError, match=r"need tifffile: pip install 'equicoherence\[tiff\]'"):
        source.load(0, 8)


def test_without_imagecodecs_a_deep_png_of_colors_is_not_flattened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_images(folder_of(tmp_path, "png", deep_png(COLORS, 2)))
    assert source.format.bits == 16
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImportError, match=r"need imagecodecs, .* pip install 'equicoherence\[tiff\]'"):
        source.load(0, 8)


@pytest.mark.parametrize(
    ("held", "channels", "message"),
    [
        (np.zeros((7, 7, 40), np.uint8), 40, "4000 x 4000 pixels of 40 channels; at most 10066329 in all"),
        (np.zeros((40, 7, 7), np.uint8), 40, "4000 x 4000 pixels of 40 channels; at most 10066329 in all"),
        (np.zeros((7, 7), np.uint16), 3, "12000 x 12000 pixels; at most 134217728 in all"),
    ],
)
def test_tiff_files_that_claim_too_many_values_are_refused_before_they_are_decoded(
    held: np.ndarray, channels: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiff(held, photometric="minisblack", planarconfig="contig" if held.shape[-1] == 40 else None)
    side = 4000 if channels == 40 else 12_000
    for tag in (256, 257):
        for kind in (3, 4):  # one value, of each page
            data = data.replace(struct.pack("<HHII", tag, kind, 1, 7), struct.pack("<HHII", tag, 4, 1, side))
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(BadImage, match=message):
        decode(data, 8, "bomb", PixelFormat(channels, 16))


@pytest.mark.parametrize("kind", ["float16", "int16", "int8", "bool"])
def test_arrays_of_values_without_a_white_are_bad_images(kind: str) -> None:
    with pytest.raises(BadImage, match=f"a.npy: its values are {kind}, which have no white"):
        decode(npy(STACK.astype(kind)), 8, "a.npy", PixelFormat(6, 16))


@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_damaged_files_say_nothing_of_the_others_and_are_bad(ending: str, tmp_path: Path) -> None:
    whole = npy(STACK) if ending == "npy" else tiff(STACK, photometric="minisblack")
    source = open_images(folder_of(tmp_path, ending, b"", whole[:40], whole, b"<html>", whole))
    assert source.format == PixelFormat(6, 16)
    assert np.array_equal(source.load(4, SIDE).pixels, STACK.transpose(1, 2, 0))
    for index in (0, 1, 3):
        with pytest.raises(BadImage, match=f"^{index}.{ending}: "):
            source.load(index, SIDE)


@pytest.mark.parametrize("case", ["color png", "color tiff", "bands"])
def test_what_cannot_be_kept_is_bad_without_optional_readers(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CASES[case][1]()
    for module in ("imagecodecs", "tifffile"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadImage, match="it has 6 channels" if case == "bands" else "it has 16 bits a channel"):
        decode(data, 8, "deep", PICTURE)


def test_a_smaller_copy_of_a_gray_page_is_no_channel(tmp_path: Path) -> None:
    for options in ({"subfiletype": 1}, {}):
        stream = io.BytesIO()
        with tifffile.TiffWriter(stream) as file:
            file.write(RAMP, photometric="minisblack")
            file.write(np.ascontiguousarray(RAMP[::2, ::2]), photometric="minisblack", **options)  # type: ignore[arg-type]
        source = open_images(folder_of(tmp_path, "tif", stream.getvalue()))
        assert source.format == PixelFormat(3, 16)
        assert np.array_equal(source.load(0, SIDE).pixels, GRAY)


def test_big_tiffs_keep_their_depth_or_say_why_not(tmp_path: Path) -> None:
    source = open_images(folder_of(tmp_path, "tif", tiff(STACK, photometric="minisblack", bigtiff=True)))
    assert source.format == PixelFormat(6, 16)
    assert np.array_equal(source.load(0, SIDE).pixels, STACK.transpose(1, 2, 0))
    folder_of(tmp_path, "tif", tiff(STACK, photometric="minisblack", bigtiff=True, byteorder=">"))
    with pytest.raises(ValueError, match=r"0.tif: it is a BigTIFF of big-endian numbers"):
        open_images(tmp_path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_of_8_bits_show_mid_grey_beside_16_bits(mode: str) -> None:
    clear = encoded(Image.new("RGBA", (8, 8), (255, 255, 255, 0)).convert(mode), "PNG")
    assert (decode(clear, 8, "clear", PixelFormat(3, 16)).pixels == 128 * 257).all()


def test_depth_maps_of_7_scenes_keep_their_millimetres(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    archives = sorted(shared_data("sevenscenes_redkitchen").glob("*.tar.gz"))
    with tarfile.open(archives[0]) as tar:
        members = [m for m in tar if m.name.endswith("depth.png") or ("depth" in m.name and m.name.endswith(".png"))][
            :4
        ]
        held = [tar.extractfile(member).read() for member in members]  # type: ignore[union-attr]
    source = open_images(folder_of(tmp_path, "png", *held))
    assert source.format == PixelFormat(3, 16)
    stored = np.asarray(Image.open(io.BytesIO(held[0]))).astype(np.int64)
    pixels = source.load(0, stored.shape[0]).pixels[..., 0]
    assert len(np.unique(pixels)) > 256
    assert abs(float(np.median(pixels)) - float(np.median(stored))) < 0.02 * np.median(stored)
