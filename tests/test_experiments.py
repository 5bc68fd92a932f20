"""Experiments keep scores for as long as they would be scored the same way again."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from equicoherence.comparing import compare
from equicoherence.evaluation.suites import EQUIVARIANCE, Suite
from equicoherence.reporting.comparison.evaluated import read_evaluated
from equicoherence.reporting.suite_table import read_suite
from tests.small import picture_folder, small_config

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


def test_scores_are_kept_beside_their_page_without_paths_and_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import published as experiment  # pyright: ignore[reportMissingImports]

    settings = {"knn": {"k": 3}}
    config = replace(small_config(picture_folder(tmp_path / "images")), max_steps=1, seed=1)
    suite, page = Suite("small", settings, ()), tmp_path / "docs" / "small.md"
    with pytest.raises(experiment.NoScores, match=r"nothing is published for small\.md"):
        experiment.published(page)
    runs = compare({"an arm, [P1]": config}, tmp_path / "runs", seeds=(1,), tasks=("knn",), settings=settings)
    experiment.publish(suite, runs["an arm, [P1]"], page)
    (file,) = (tmp_path / "docs").rglob("*.json")
    assert file.parent == tmp_path / "docs" / "small" / "an-arm-p1-seed1"
    assert str(tmp_path) not in file.read_text()
    (found,) = experiment.published(page)
    (run,) = runs["an arm, [P1]"]
    assert found.rows == read_evaluated(run).rows
    assert len(experiment.published(page, {"an arm, [P1]": config})) == 1
    with pytest.raises(experiment.NoScores):
        experiment.published(page, {"an arm, [P1]": replace(config, max_steps=2)})
    said = "an-arm-p1-seed1 is left out: its scores are of other settings than those of today"
    assert said in capsys.readouterr().err
    named = replace(config, name="an arm, [P1]")
    assert experiment.is_published(named, settings, page)
    assert experiment.is_published(replace(named, data="/elsewhere/images"), settings, page)
    assert not experiment.is_published(replace(named, seed=0), settings, page)
    assert not experiment.is_published(replace(named, max_steps=2), settings, page)
    assert not experiment.is_published(named, {"knn": {"k": 4}}, page)


def test_training_views_of_the_traces_are_turned_and_come_with_their_angles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import view_traces as experiment  # pyright: ignore[reportMissingImports]

    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    views, angles = experiment.recipe_views((64, 32))(images, torch.Generator().manual_seed(0))
    assert views.shape == (4, 3, 32, 32)
    assert angles.shape == (4, 1)
    assert len(angles.unique()) == 4


def test_the_control_of_a_decoder_is_trained_and_probed_on_noise_whose_angle_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import view_traces as experiment  # pyright: ignore[reportMissingImports]

    for name, value in (("TRAIN", 300), ("TEST", 150), ("BATCH", 32)):
        monkeypatch.setattr(experiment, name, value)
    control, plain = (
        experiment.train_decoder(way, (32, 32), 1, tmp_path) for way in ("control: render+cross-attention", "render")
    )
    assert set(control) == {"spectra", "random", "backbone", "z_equi"}
    assert control["spectra"][0] > 0.7 > 0.3 > plain["spectra"][0]
    along, across = ([] for _ in "xy")
    for file in (tmp_path / "noise-of-one-direction-32").glob("*.png"):
        image = torch.from_numpy(np.array(Image.open(file))).float()
        along.append(image.diff(dim=1).abs().mean())
        across.append(image.diff(dim=0).abs().mean())
    assert sum(along) < 0.7 * sum(across), "it was trained on other noise than it is probed on"


def test_a_cell_of_the_traces_that_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import view_traces as experiment  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr("sys.argv", ["view_traces.py", "--only", "renders:32:32"])
    with pytest.raises(SystemExit):
        experiment.main()
    text = capsys.readouterr().err
    assert "'renders:32:32' is no cell; one is" in text
    assert "'control: render+cross-attention:64:32'" in text


def test_kept_cells_say_where_they_were_measured_or_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import pages  # pyright: ignore[reportMissingImports]

    says = {"date": "2026-12-01", "machine": {"processor": "P", "gpu": "none"}, "versions": {"torch": "2"}}
    assert (
        pages.measured([{}, says, {"R2": 1}, says], "not known")
        == "not known; 2026-12-01, processor P, gpu none, torch 2"
    )


def test_a_reading_is_kept_and_says_so_when_the_figures_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import pages  # pyright: ignore[reportMissingImports]

    page = tmp_path / "page.md"
    pages.write_page("# Figures\n\n1\n", page)
    assert page.read_text() == "# Figures\n\n1\n"
    with pytest.raises(ValueError, match="has no heading"):
        pages.mark_as_read(page)
    page.write_text(page.read_text() + "\n## Reading\n\nIt is one.\n")
    pages.mark_as_read(page)
    marked = page.read_text()
    pages.write_page("# Figures\n\n1\n", page)
    assert page.read_text() == marked
    pages.write_page("# Figures\n\n2\n", page)
    pages.write_page("# Figures\n\n2\n", page)
    assert page.read_text().count("Written about earlier figures") == 1
    assert "It is one." in page.read_text()
    pages.mark_as_read(page)
    assert "Written about earlier figures" not in page.read_text()
    table = "\n| k-NN |\n| --- |\n| 1 |\n"
    pages.write_page(f"# Figures\n{table}", page)
    pages.mark_as_read(page)
    pages.write_page(f"# Figures, said otherwise\n{table}", page)
    assert "Written about earlier figures" not in page.read_text()


def test_a_page_keeps_its_rows_and_columns_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import pages  # pyright: ignore[reportMissingImports]

    page = tmp_path / "page.md"
    table = "# Figures\n\n| encoder | k-NN |\n| --- | --- |\n| VICReg | 1 |\n| + the task | 2 |\n"
    pages.write_page(table, page, keep=True)
    for lost, text in (
        ("+ the task", table.replace("| + the task | 2 |\n", "")),
        ("k-NN", table.replace("k-NN", "linear")),
    ):
        with pytest.raises(pages.RowsLost, match=rf"it was: it has {re.escape(lost)} under 'Figures', whose scores"):
            pages.write_page(text, page, keep=True)
        assert page.read_text() == table
    pages.write_page(
        table.replace("| 2 |", "| 3 |").replace("k-NN", "k-NN (2 seeds)") + "| more | 1 |\n", page, keep=True
    )
    pages.write_page("# Figures\n", page)
    assert page.read_text() == "# Figures\n"


def test_the_page_of_curves_is_made_again_from_scores_that_hold_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import curves as experiment  # pyright: ignore[reportMissingImports]

    data, results = picture_folder(tmp_path / "pictures", 10), tmp_path / "results"
    monkeypatch.setattr(experiment, "RESULTS", results)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["curves.py", *arguments])
        experiment.main()
        return (results / "curves.md").read_text()

    scoring = ("baseline:thumbnail:32", "--data", str(data), "--out", str(tmp_path / "out"))
    first = run(*scoring)
    row = next(line for line in first.splitlines() if line.startswith("| baseline:thumbnail |"))
    scores = (results / "curves").glob("*/scores.json")
    assert [str(tmp_path) in file.read_text() for file in scores] == [False]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 12
    assert all(0 <= float(cells[number]) <= 1 for number in (1, 4, 7))
    capfd.readouterr()
    (results / "curves.png").unlink()
    assert run(*scoring) == first
    assert capfd.readouterr().err.count(", kept") == 4
    assert run() == first
    assert (results / "curves.png").stat().st_size
    with pytest.raises(SystemExit):
        run("baseline:thumbnail:32")
    assert "--data is missing" in capfd.readouterr().err
    for wrong in ("baseline:thumbnail", "encoder", ":32"):
        with pytest.raises(SystemExit):
            run(wrong, *scoring[1:])
        assert f"{wrong!r}: give MODEL:PIXELS" in capfd.readouterr().err


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_experiment_finds_what_it_imports(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    found = runpy.run_path(str(path), run_name="imported")
    assert found["__doc__"]


def test_the_plot_over_layers_has_the_same_axes_of_scores_for_every_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import equivariance as experiment  # pyright: ignore[reportMissingImports]
    from published import row_folders  # pyright: ignore[reportMissingImports]

    groups = read_suite(EQUIVARIANCE, row_folders(experiment.RESULTS / "equivariance"))
    figure = experiment.over_layers(groups, tmp_path / "layers.png")
    drawn = [axes for axes in figure.axes if axes.lines]
    assert len(drawn) >= 4, "there are too few encoders to compare"
    for panels in (drawn[::2], drawn[1::2]):
        (limits,) = {axes.get_ylim() for axes in panels}
        values = [value for axes in panels for line in axes.lines for value in line.get_ydata()]
        assert limits[0] <= min(values) < max(values) <= limits[1]
