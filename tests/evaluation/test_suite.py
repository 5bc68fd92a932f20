"""A suite: one table of what was scored by the same rules, and no other."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from equicoherence.cli import main
from equicoherence.commands.evaluate import Arguments
from equicoherence.commands.evaluation_plan import chosen_suite
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.suites import EQUIVARIANCE, Suite, named_suite
from equicoherence.reporting.suite_table import suite_tables, write_suite

SMALL = dataclasses.replace(
    EQUIVARIANCE,
    settings={
        "layers": {"train": 30, "test": 9, "probes": ("linear",)},
        "transformation": {
            **EQUIVARIANCE.settings["transformation"],
            "train": 30,
            "test": 9,
            "probes": ("linear",),
            "repeats": 1,
        },
        "knn": {"limit": 40},
        "rot4": {"train": 30, "test": 9, "epochs": 2},
    },
)


@pytest.fixture(scope="module")
def scored(folder: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the scores of a run, and of a baseline, which has no layers."""
    out = tmp_path_factory.mktemp("scored")
    evaluate(run, tasks=SMALL.tasks(), data=folder, out=out / "run")
    own = [task for task in SMALL.tasks() if task.name != "layers"]
    evaluate("baseline:spectrum", tasks=own, data=folder, size=32, out=out / "spectrum")
    return out / "run", out / "spectrum"


def test_a_table_has_every_figure_of_each_encoder_and_what_stands_beside_it(
    scored: tuple[Path, Path], tmp_path: Path
) -> None:
    page = write_suite(SMALL, scored, tmp_path)
    with (tmp_path / "equivariance.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    places = {(row["encoder"], row["kind"], row["task"], row["target"]) for row in found}
    for name, kind in (("small", ""), ("small", "random weights"), ("baseline:spectrum", "")):
        for figure in EQUIVARIANCE.figures:
            assert (name, kind, figure.task, figure.target) in places
    assert {kind for name, kind, *_ in places if name == "baseline:spectrum"} == {""}
    assert ("small", "best layer", "layers", "rotation") in places
    scores = json.loads((scored[1] / "scores.json").read_text())
    (part,) = (part for part in scores["parts"].values() if part["variant"] == "rotation")
    wanted = next(
        row for row in part["rows"] if (row["target"], row["metric"], row["parameter"]) == ("rotation", "r2", "")
    )
    place = {"encoder": "baseline:spectrum", "task": "transformation", "target": "rotation", "metric": "r2"}
    (row,) = (row for row in found if all(row[field] == value for field, value in place.items()))
    assert float(row["mean"]) == wanted["value"]
    assert [float(row["low"]), float(row["high"])] == wanted["interval"]
    text = page.read_text(encoding="utf-8")
    assert "| baseline:spectrum |" in text
    assert "| constant |" in text


def test_in_a_terminal_the_table_stands_upright_and_fits(scored: tuple[Path, Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(scored[1], tmp_path / name)) for name in "abcd"]
    for number, copy in enumerate(copies):
        file = copy / "scores.json"
        about = json.loads(file.read_text())
        about |= {"name": f"/some/where/or/other/weights{number}.pth", "weights": str(number)}
        file.write_text(json.dumps(about))
    for folders, names in (
        ([scored[0]], [["score", "small", "best layer", "random weights", "constant"]]),
        (
            [*scored, *copies],
            [
                [
                    "score",
                    "small",
                    "baseline:spectrum",
                    *(f"weights{n} (baseline:spectrum)" for n in (0, 1)),
                    "constant",
                ],
                ["score", *(f"weights{n} (baseline:spectrum)" for n in (2, 3)), "constant"],
            ],
        ),
    ):
        tables = suite_tables(SMALL, folders)
        assert [[str(column.header) for column in table.columns] for table in tables] == names
        for table in tables:
            assert table.row_count == len(SMALL.figures) <= 16
            console = Console(width=100, file=io.StringIO())
            console.print(table)
            assert "..." not in console.file.getvalue()  # type: ignore[attr-defined]
            assert len(console.file.getvalue().splitlines()) <= len(SMALL.figures) + 10  # type: ignore[attr-defined]


def test_scores_of_other_settings_or_images_are_refused(scored: tuple[Path, Path], tmp_path: Path) -> None:
    other = Suite(SMALL.name, {**SMALL.settings, "rot4": {"train": 31, "test": 9, "epochs": 2}}, SMALL.figures)
    with pytest.raises(ValueError, match="rot4 was scored with train 30, not 31"):
        write_suite(other, scored, tmp_path)
    copy = Path(shutil.copytree(scored[1], tmp_path / "copy"))
    file = copy / "scores.json"
    digest = json.loads(file.read_text())["parts"]
    splits = next(iter(digest.values()))["settings"]["splits"]["val"]
    file.write_text(file.read_text().replace(splits, "9, 00000000"))
    with pytest.raises(ValueError, match="were scored on other images"):
        write_suite(SMALL, [scored[0], copy], tmp_path)
    assert not list(tmp_path.glob("*.csv"))


def test_a_suite_says_itself_what_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="--tasks, --limit: suite equivariance has fixed tasks and settings"):
        chosen_suite(Arguments(("m",), suite="equivariance", tasks="knn", limit=3))
    with pytest.raises(ValueError, match="'equivarianse' is unknown"):
        named_suite("equivarianse")
    assert main(["suite", "equivariance"]) == 2
    assert "needs folders of scores" in capsys.readouterr().err
