"""Film strips: the order of states, what is shown for missing pictures, parameters with their units."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.reporting.film import film_section, sample_strips, theta_text
from equicoherence.reporting.runs import read_run

WriteRun = Callable[..., Path]  # the fixture of conftest.py

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def flat(levels: list[int], size: int = 8) -> np.ndarray:
    """Return one sample of flat grey states, (1, K, size, size, 3)."""
    return np.broadcast_to(np.array(levels, np.uint8)[None, :, None, None, None], (1, len(levels), size, size, 3))


def shown(strip: str) -> list[tuple[str, int, int]]:
    """Return (alt, level of the first pixel, width) of each picture of a strip."""
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]*)" alt="([^"]*)"', strip)
    decoded = [(alt, Image.open(io.BytesIO(base64.b64decode(data)))) for data, alt in pictures]
    return [(alt, np.asarray(picture)[0, 0, 0].item(), picture.width) for alt, picture in decoded]


def test_states_stand_in_the_order_of_the_path_whatever_the_order_of_the_file() -> None:
    arrays = {"targets": flat([30, 10, 20]), "decoded": flat([31, 11, 21]), "positions": np.array([0.75, 0.25, 0.5])}
    (strip,) = sample_strips(arrays)
    assert [level for _, level, _ in shown(strip)] == [10, 11, 20, 21, 30, 31]
    assert re.findall(r"t = ([\d.]+)</span>", strip) == ["0.25", "0.50", "0.75"]


def test_without_intermediate_states_the_views_are_shown(write_run: WriteRun) -> None:
    strip = sample_strips(read_run(write_run(states=0)).samples)[0]
    assert [alt for alt, _, _ in shown(strip)] == ["view 1 of sample 0", "base image of sample 0", "view 2 of sample 0"]
    assert "no intermediate states" in strip


def test_targets_without_decoded_states_are_shown_with_a_remark(write_run: WriteRun) -> None:
    run = write_run()
    with np.load(run / "samples.npz") as arrays:
        np.savez(run / "samples.npz", **{k: v for k, v in arrays.items() if k != "decoded"})  # type: ignore[arg-type]
    section = film_section({"vicreg-tiny": [read_run(run)]})
    assert "no decoded states" in section
    assert section.count("target of sample 0") == 3
    assert f">{DASH}</span>" in section


def test_arrays_of_a_wrong_kind_are_dashes_not_errors() -> None:
    arrays = {"v1": np.zeros((2, 8, 8, 3), np.float32), "v2": np.zeros((2, 8, 8), np.uint8), "base": flat([5, 6])[0]}
    strips = sample_strips(arrays)
    assert [level for strip in strips for _, level, _ in shown(strip)] == [5, 6]
    assert "no picture that can be shown" in sample_strips({"v1": np.zeros(3)})[0]


def test_large_pictures_are_reduced_and_small_ones_kept() -> None:
    strips = [sample_strips({"base": flat([7], size)[0]})[0] for size in (300, 32)]
    assert [width for strip in strips for _, _, width in shown(strip)] == [128, 32]


@pytest.mark.parametrize(
    ("names", "values", "units", "text"),
    [
        (["angle", "x"], [-34.21, 12.0], None, f"angle {MINUS}34.2°, x 12 px at 224"),
        (["rotation_angle", "blur_sigma"], [10.0, 1.5], None, "rotation_angle 10°, blur_sigma 1.5 px"),
        (["x", "log_width"], [0.5, -0.7], None, f"x 0.5, log_width {MINUS}0.7"),
        (["unknown"], [0.25], None, "unknown 0.25"),
        (["angle", "x"], [1.0, 2.0], ["degrees", ""], "angle 1°, x 2"),
    ],
)
def test_parameters_are_written_with_their_units(
    names: list[str], values: list[float], units: list[str] | None, text: str
) -> None:
    assert theta_text(names, values, units) == text
