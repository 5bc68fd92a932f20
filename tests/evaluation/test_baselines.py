"""Encoders without weights: what they hold of an image, and where they are taken for models."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from equicoherence.cli import main
from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.baselines import Spectrum, Thumbnail
from tests.evaluation.rows import QUICK, values_of
from tests.small import picture_folder


def wave(size: int, across: float, down: float) -> torch.Tensor:
    """Return an image (1, 3, S, S) of one plane wave, in whole waves per image."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    grey = 0.5 + 0.4 * torch.cos(2 * math.pi * (across * x + down * y) / size)
    return grey.expand(1, 3, size, size)


def test_the_thumbnail_is_the_image_averaged() -> None:
    images = torch.rand(2, 3, 64, 64)
    wanted = F.avg_pool2d(images, 4).flatten(1)
    torch.testing.assert_close(Thumbnail()(images), wanted)


@pytest.mark.parametrize(("across", "down"), [(4, 0), (9, 7), (5, -11), (0, 10)])
def test_the_spectrum_of_a_wave_is_largest_at_its_frequency(across: int, down: int) -> None:
    size = 32  # so that no frequencies are averaged, but the last two across
    found = Spectrum()(wave(size, across, down)).view(32, 16)
    rows, columns = divmod(int(found.argmax()), 16)
    assert rows - 16 in {down, -down} if across == 0 else rows - 16 == down
    assert columns == across


def test_the_spectrum_does_not_know_where_things_are_nor_how_bright_the_image_is() -> None:
    wavy = wave(64, 9, 5)
    moved = wavy.roll((13, -7), (2, 3))
    spectrum = Spectrum()
    strong = spectrum(wavy) > spectrum(wavy).max() - 3
    assert (spectrum(wavy) - spectrum(moved))[strong].abs().max() < 0.05
    torch.testing.assert_close(spectrum(wavy * 0.5 + 0.2), spectrum(wavy * 0.5), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "width"), [("thumbnail", 768), ("spectrum", 32 * 16)])
def test_a_baseline_is_scored_as_a_model_without_random_weights_beside_it(
    name: str, width: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(
        f"baseline:{name}", tasks=("transformation", "knn"), data=folder, size=32, out=tmp_path, settings=QUICK
    )
    assert "it has no weights" in capsys.readouterr().err
    assert {part["task"] for part in found["parts"].values()} == {"transformation", "knn"}
    assert values_of(found, task="knn")
    assert found["name"] == f"baseline:{name}"
    assert load_model(f"baseline:{name}", size=32).represent(torch.rand(2, 3, 32, 32))[0]["backbone"].shape == (
        2,
        width,
    )


def test_what_is_no_baseline_or_does_not_apply_to_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"baseline 'thumbnails' is unknown; .*thumbnail"):
        load_model("baseline:thumbnails")
    with pytest.raises(ValueError, match="--random-weights does not apply to baseline:spectrum"):
        load_model("baseline:spectrum", random_weights=True)


def test_the_size_of_a_baseline_is_that_of_the_models_beside_it_and_no_own_one_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture_folder(tmp_path / "pictures", 8)
    asked = ["evaluate", "baseline:thumbnail", "--tasks", "knn", "--data", str(data), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("equicoherence.commands.evaluate.LARGE", 8)
    assert main(asked) == 0
    assert "are read at" not in capsys.readouterr().err
