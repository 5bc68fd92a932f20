"""The quickstart as a whole, in small: both arms are trained and scored, and the page and the table are written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from equicoherence import quickstart
from tests.small import ENCODER, picture_folder


def test_the_quickstart_ends_with_its_page_and_says_where_it_is_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures = str(picture_folder(tmp_path / "pictures", 12))

    def small() -> dict[str, quickstart.PretrainConfig]:
        return {
            name: dataclasses.replace(
                config,
                data=pictures,
                encoder=ENCODER,
                max_steps=1,
                views=dataclasses.replace(config.views, source=32),
                optim=dataclasses.replace(config.optim, batch_size=8),
            )
            for name, config in arms.items()
        }

    arms = quickstart.arms()
    monkeypatch.setattr(quickstart, "arms", small)
    few = {**quickstart.SETTINGS["transformation"], "train": 12, "test": 6}
    monkeypatch.setattr(quickstart, "SETTINGS", {"transformation": few, "knn": {"k": 3}})
    out = tmp_path / "quickstart"
    page = quickstart.run_quickstart(out, jobs=1)
    assert page == out / "report.html"
    said = capfd.readouterr().out
    assert "Against plain, with-task gained" in said
    assert said.splitlines()[-1].endswith(f"minutes; page: {page}")
    html = page.read_text(encoding="utf-8")
    assert all(name in html for name in ("plain", "with-task"))
    table = (out / "results.md").read_text(encoding="utf-8")
    assert table.startswith("# Quickstart\n\nWritten by `equicoherence quickstart`. ")
    assert "| score | reads | plain | with-task | random | constant |" in table
    rows = [line.split(" | ")[:2] for line in table.splitlines() if line.startswith("| ")]
    assert ["| transformation rotation R2 (content)", "z_equi"] in rows
    assert ["| knn top-1", "backbone"] in rows
    weights = {run: (run / "model.safetensors").stat().st_mtime_ns for run in out.glob("*-seed0")}
    assert len(weights) == 2
    quickstart.run_quickstart(out, jobs=1)
    assert {run: (run / "model.safetensors").stat().st_mtime_ns for run in weights} == weights
