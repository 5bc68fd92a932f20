"""`equicoherence report`: which pages it writes, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from equicoherence.commands.report import run
from equicoherence.evaluation.task import Row
from tests.reporting.scored import Write, part, scores, write_file

WriteRun = Callable[..., Path]  # the fixture of conftest.py


def pages(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.html"))


def on_sets(folder: Path) -> Path:
    return write_file(folder, scores([part([Row("miou", 0.5)], task="segmentation")], folder.name))


def test_runs_that_are_scored_on_images_alone_have_one_page(
    write_run: WriteRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_file(write_run("one", parts=()), scores([part([Row("top1", 0.5)])], "one"))
    run([str(folder), str(write_run("two", parts=()))])
    assert pages(tmp_path) == ["one/report.html"]
    assert f"page: {folder / 'report.html'}" in capsys.readouterr().out


def test_runs_that_are_scored_on_data_sets_have_a_page_of_scores_too(write_run: WriteRun, tmp_path: Path) -> None:
    folders = [write_run(name, parts=()) for name in ("one", "two", "three")]
    on_sets(folders[1])
    (folders[2] / "scores.json").write_text("{")  # the page of runs says so
    run([*map(str, folders), "--out", str(tmp_path / "all.html")])
    assert pages(tmp_path) == ["all.html", "two/comparison/comparison.html"]
    assert "scores.json is damaged (" in (tmp_path / "all.html").read_text()


def test_folders_of_scores_that_are_no_runs_have_a_page_of_scores_alone(
    write: Write, write_run: WriteRun, tmp_path: Path
) -> None:
    folders = [write("a"), on_sets(write_run("run", parts=()))]
    run([*map(str, folders)])
    assert pages(tmp_path) == ["a/comparison/comparison.html"]
    run([*map(str, folders), "--out", str(tmp_path / "out")])
    assert pages(tmp_path) == ["a/comparison/comparison.html", "out/comparison.html"]
    with pytest.raises(ValueError, match=r"must be a folder: comparison.html is written into it"):
        run([*map(str, folders), "--out", "page.html"])


def test_a_folder_that_holds_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        run([str(tmp_path / "nowhere")])
    assert pages(tmp_path) == []
    with pytest.raises(ValueError, match="report needs a run directory, or several"):
        run([])
