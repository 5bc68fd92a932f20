"""The pictures inside a page: their format and size, and the size of the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.reporting.explorer import files
from equicoherence.reporting.explorer.files import reduced, strip
from equicoherence.reporting.explorer.gather import Gathered
from equicoherence.reporting.explorer.scene import Decoding, PathScene
from equicoherence.reporting.explorer.study import NEAREST, READS, Read, TurnedImages, thumbnails
from equicoherence.reporting.page import report
from tests.reporting.kept_samples import levels

WriteRun = Callable[..., Path]  # the fixture of conftest.py


def opened(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_pictures_are_webp_or_png_where_pillow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3)).astype(np.uint8)
    beside = np.concatenate(list(pictures), axis=1)
    assert strip(pictures).startswith("data:image/webp;base64,")
    assert opened(strip(pictures)).shape == beside.shape
    monkeypatch.setattr(files.features, "check", lambda name: False)
    assert strip(pictures).startswith("data:image/png;base64,")
    assert np.array_equal(opened(strip(pictures)), beside)


def test_large_pictures_are_reduced_and_small_ones_kept() -> None:
    assert [reduced(levels(7, 9, size=size)).shape[-2] for size in (300, 32)] == [128, 32]
    sheet = thumbnails(levels(*range(0, 250, 10))[0], side=4, columns=10)
    assert sheet.shape == (12, 40, 3)
    assert sheet[::4, ::4, 0].flatten().tolist() == [*range(0, 250, 10), *[0] * 5]


def photographs(*shape: int, size: int = 128) -> np.ndarray:
    """Return pictures (*shape, size, size, 3) with details of all sizes, as photographs have them."""
    generator, found = np.random.default_rng(0), np.zeros((*shape, size, size, 3), np.float32)
    for cells in (each for each in (4, 8, 16, 32, 64, 128) if each <= size):
        coarse = generator.standard_normal((*shape, cells, cells, 3)).astype(np.float32) * 60 * (4 / cells) ** 0.7
        found += coarse.repeat(size // cells, -3).repeat(size // cells, -2)
    return (128 + found).clip(0, 255).astype(np.uint8)


def test_a_page_of_four_runs_is_below_5_mb(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = [f"run {number}" for number in range(4)]
    runs = [write_run(name, name=name, parts=("metrics.jsonl", "scores.json")) for name in names]
    states = np.repeat(photographs(8), 11, axis=0).reshape(8, 11, 128, 128, 3)
    decoded = reduced(states, 32).repeat(4, -3).repeat(4, -2)[:, 1:-1]
    decodings = [Decoding(name, tuple(range(1, 10)), ("geodesic",) * 9, decoded) for name in names]
    times = np.linspace(0, 1, 11)
    scene = PathScene("photographs", "v1", states[:, 0], states, times, [], np.zeros((8, 11, 0)), decodings)
    nearest, colors = np.zeros((6, 19, NEAREST), np.int64), photographs(6, 19, size=16)
    reads = [Read(name, nearest, colors) for name in READS]
    shown = np.repeat(photographs(6), 19, axis=0).reshape(6, 19, 128, 128, 3)
    turns = TurnedImages(
        "photographs", range(126), range(-180, 181, 20), shown, photographs(120), [""] * 6, [""] * 120,
        dict.fromkeys(names, reads),
    )  # fmt: skip
    monkeypatch.setattr("equicoherence.reporting.page.gather", lambda groups: Gathered([scene], [turns]))
    page = report(runs, tmp_path / "page.html")
    assert 1e6 < page.stat().st_size < 5e6
