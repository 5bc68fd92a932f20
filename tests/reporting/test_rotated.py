"""Rotated images of any encoder: kept beside its scores, and side by side on a page that needs no weights."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from equicoherence.cli import main
from equicoherence.data import open_images
from equicoherence.evaluation.model import load_model
from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.explorer import rotated_file
from equicoherence.reporting.explorer.rotated_file import FILE, read_rotated
from equicoherence.reporting.explorer.rotated_section import side_by_side
from equicoherence.reporting.explorer.turned import turned
from tests.reporting.conftest import write_rotated
from tests.reporting.scored import Write

TINY = "test_resnet"


def shown(page: Path) -> list[dict]:
    """Return the data of the rotation sliders of a page."""
    text = page.read_text(encoding="utf-8")
    return [json.loads(each) for each in re.findall(r'data-turn>.*?application/json">(.*?)</script>', text, re.DOTALL)]


def names(page: Path) -> list[str]:
    """Return the encoders below the rotation sliders of a page."""
    return re.findall(r'<div class="view">\s*<p><strong>(.*?)</strong>', page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a weights file of a timm model, as the command takes it."""
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model(TINY).state_dict(), path)
    return f"{path}@{TINY}"


def test_a_page_shows_a_run_and_a_weights_file_of_another_size_under_one_slider(
    run: Path, folder: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    given = ["--data", str(folder), "--tasks", "knn", "--limit", "20", "--no-controls", "--size", "64"]
    assert main(["evaluate", str(run), weights, *given, "--out", str(out)]) == 0
    assert names(out / "comparison.html") == ["small", f"w ({TINY})"]
    (data,) = shown(out / "comparison.html")
    assert data["size"] == 64, "the pictures are those of the larger input"
    assert [list(reads) for reads in data["runs"]] == [["backbone", "z_inv", "z_equi"], ["backbone"]]
    source = open_images(folder, "val")
    for name, reads in zip((run, weights), data["runs"]):
        model = load_model(name, size=None if name is run else 64)
        wanted = turned({"": model}, source, str(folder), 0.0)
        for read in wanted.reads[""]:
            assert reads[read.name]["nearest"] == read.nearest.tolist()
    assert data["bankClasses"] == list(wanted.bank_classes)
    folders = [out / each for each in ("run", "w.pth")]
    before = [(each / FILE).stat().st_mtime_ns for each in folders]
    capsys.readouterr()
    assert main(["evaluate", str(run), weights, *given, "--out", str(out)]) == 0
    assert [(each / FILE).stat().st_mtime_ns for each in folders] == before, "the same weights and images: kept"
    assert main(["report", *map(str, folders), "--out", str(tmp_path / "again")]) == 0
    assert shown(tmp_path / "again" / "comparison.html") == [data]


def test_one_encoder_that_is_no_run_has_a_page_and_says_what_it_cannot_show(
    folder: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--data", str(folder), "--tasks", "knn", "--limit", "20", "--no-controls", "--size", "32"]
    assert main(["evaluate", weights, *given, "--out", str(tmp_path / "out")]) == 0
    page = tmp_path / "out" / "comparison.html"
    assert f"page: {page}" in capsys.readouterr().out
    assert len(shown(page)) == 1
    assert '<a href="#turn">Rotation</a>' in page.read_text()

    def fails(*given: object) -> None:
        raise OSError("the images are gone")

    monkeypatch.setattr(rotated_file, "turned", fails)
    monkeypatch.setattr(rotated_file, "SETTINGS", ())
    assert main(["evaluate", weights, *given, "--out", str(tmp_path / "out")]) == 0
    assert "rotated images cannot be shown: the images are gone" in capsys.readouterr().err
    assert shown(page) == []
    assert not (tmp_path / "out" / FILE).exists()
    assert 'href="#turn"' not in page.read_text()


def test_a_damaged_file_is_named_on_the_page_and_others_are_shown(write: Write, tmp_path: Path) -> None:
    folders = [write("a", 0.4), write("b", 0.7), write("c", 0.6)]
    write_rotated(folders[0])
    write_rotated(folders[1])
    (folders[1] / FILE).write_text('{"schema": 1, "about": "x"')
    shutil.copy(folders[0] / FILE, folders[2] / FILE)
    content = json.loads((folders[2] / FILE).read_text())
    del content["bank"]
    (folders[2] / FILE).write_text(json.dumps(content))
    page = comparison(folders, tmp_path / "out")
    assert names(page) == ["a"]
    text = page.read_text()
    assert f"b: rotated images cannot be shown: {folders[1] / FILE} is damaged (" in text
    assert f"{folders[2] / FILE} is damaged (it has no bank)" in text


def test_encoders_of_other_images_have_a_slider_of_their_own(write: Write) -> None:
    folders = [write("a"), write("b"), write("c")]
    for each, images in zip(folders, ("one", "two", "one")):
        write_rotated(each, images)
    found = side_by_side({each.name: read_rotated(each) for each in folders})
    assert [list(each["runs"]) for each in found] == [["a", "c"], ["b"]]


def test_many_patch_tokens_are_averaged_to_those_that_are_shown(write: Write) -> None:
    folder = write("a")
    write_rotated(folder, tokens=np.full((2, 3, 48, 48, 3), 7, np.uint8))
    assert read_rotated(folder)["runs"][""]["backbone"]["tokens"] == 24
