"""The notebooks run from their first cell to their last, in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot
import pytest
import torch

NOTEBOOKS = {path.stem: path for path in sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.ipynb"))}
LARGEST = 100_000
"""Bytes of a notebook with its outputs."""


def cells(name: str) -> list[dict[str, Any]]:
    """Return the cells of a notebook."""
    return json.loads(NOTEBOOKS[name].read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which all notebooks run: the images that the first one makes are there for the others."""
    return tmp_path_factory.mktemp("desk")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    matplotlib.pyplot.switch_backend("agg")
    names: dict[str, Any] = {"__name__": name}
    for cell in cells(name):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # the notebook's own words
    printed = capsys.readouterr().out
    matplotlib.pyplot.close("all")
    if name == "what_is_kept":
        assert "rotation sign accuracy" in printed
        assert names["cosines"][len(names["cosines"]) // 2] == pytest.approx(1, abs=1e-5)  # not turned
        assert min(names["cosines"]) < 1
    else:
        shapes = {name: tuple(features.shape) for name, features in names["pooled"].items()}
        assert shapes == {"backbone": (8, 48), "z_equi": (8, 64), "joined": (8, 112)}
        (shown,) = [output for cell in cells(name) for output in cell.get("outputs", ())]
        assert "".join(shown["data"]["text/plain"]) == str(shapes)
        assert all(row.verdict == "kept" for row in names["adapted"].rows if row.adapted.keys() == {"backbone"})
        assert all(torch.isfinite(features).all() for features in names["pooled"].values())


def test_there_are_two_and_they_are_small() -> None:
    assert list(NOTEBOOKS) == ["adapt_an_encoder", "what_is_kept"]
    assert all(path.stat().st_size < LARGEST for path in NOTEBOOKS.values())
