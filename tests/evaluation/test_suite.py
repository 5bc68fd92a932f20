"""A suite: one table of what was scored by the same rules, and no other."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from equicoherence.cli import main
from equicoherence.commands.evaluate import Arguments
from equicoherence.commands.evaluation_plan import chosen_suite, plan
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.suites import EQUIVARIANCE, NEIGHBOURS, SUITES, Suite, named_suite
from equicoherence.reporting.submission import write_submissions
from equicoherence.reporting.suite_table import read_suite, suite_tables, write_suite

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
PUBLISHED = RESULTS / "equivariance"
LITE0 = PUBLISHED / "efficientnet_lite0.safetensors-tf_efficientnet_lite0-96px-91dcd92f"
SPECTRUM = PUBLISHED / "baseline-spectrum-96px-e3b0c442"
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


def csv_rows(page: Path) -> list[dict[str, str]]:
    """Return the lines of the CSV file beside a page."""
    with page.with_suffix(".csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_has_every_figure_of_each_encoder_and_what_stands_beside_it(
    scored: tuple[Path, Path], tmp_path: Path
) -> None:
    page = write_suite(SMALL, read_suite(SMALL, scored), tmp_path)
    found = csv_rows(page)
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
        tables = suite_tables(SMALL, read_suite(SMALL, folders))
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
        read_suite(other, scored)
    copy = Path(shutil.copytree(scored[1], tmp_path / "copy"))
    file = copy / "scores.json"
    digest = json.loads(file.read_text())["parts"]
    splits = next(iter(digest.values()))["settings"]["splits"]["val"]
    file.write_text(file.read_text().replace(splits, "9, 00000000"))
    with pytest.raises(ValueError, match="transformation rotation was scored on other images"):
        read_suite(SMALL, [scored[0], copy])


Rows = list[dict[str, Any]]
Change = Callable[[dict[str, Any]], None]


def changed(folder: Path, copy: Path, change: Change) -> Path:
    """Return a copy of scores whose content ``change`` changed in place."""
    file = Path(shutil.copytree(folder, copy)) / "scores.json"
    about = json.loads(file.read_text())
    change(about)
    file.write_text(json.dumps(about))
    return copy


def without(task: str) -> Change:
    """Return the change that takes the scores of a task away."""

    def change(about: dict[str, Any]) -> None:
        about["parts"] = {name: part for name, part in about["parts"].items() if part["task"] != task}

    return change


def with_rows(change: Callable[[Rows], Rows], begins: str, **place: str) -> Change:
    """Return the change of those rows of a place that stand in the part whose name begins so."""

    def of(about: dict[str, Any]) -> None:
        (part,) = (part for name, part in about["parts"].items() if name.startswith(begins))
        rows = [row for row in part["rows"] if all(row[field] == value for field, value in place.items())]
        assert rows
        part["rows"] = [row for row in part["rows"] if row not in rows] + change(rows)

    return of


def none(rows: Rows) -> Rows:
    return []


def twice(rows: Rows) -> Rows:
    return [*rows, *rows]


def with_(**fields: object) -> Callable[[Rows], Rows]:
    return lambda rows: [{**row, **fields} for row in rows]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            without("knn"),
            "`equicoherence evaluate --suite equivariance` scores it, on images with labels",
        ),
        (
            without("layers"),
            "scores it, but leaves it out for an encoder whose layers cannot be read, which cannot be in this table",
        ),
        (without("transformation"), "has no scores of transformation rotation, which"),
        (
            with_rows(none, "transformation rotation", metric="noise_r2", target="rotation"),
            "transformation rotation has 0 scores of rotation R2 on noise, not 3",
        ),
        (
            with_rows(none, "transformation translation", target="translation, absolute"),
            "transformation translation has 0 scores of absolute translation R2, not 3",
        ),
        (
            with_rows(none, "layers", representation="best layer", metric="top1"),
            "layers has 0 scores of k-NN accuracy (best layer), not 1",
        ),
        (with_rows(twice, "rot4", metric="top1"), "rot4 has 2 scores of rot4 accuracy, not 1"),
        (
            with_rows(with_(value=7.5), "transformation rotation", target="rotation", metric="r2"),
            "transformation rotation has rotation R2 7.5, but R2 is at most 1",
        ),
        (
            with_rows(with_(value=7.5), "random transformation scale", metric="r2", parameter=""),
            "random transformation scale has scale R2 7.5, but R2 is at most 1",
        ),
        (
            with_rows(with_(value=-0.25), "transformation rotation", metric="accuracy"),
            "transformation rotation has rotation sign accuracy -0.25, but an accuracy is from 0 to 1",
        ),
        (with_rows(with_(floor=1.5), "knn"), "knn has k-NN accuracy of a constant 1.5, but an accuracy is from 0 to 1"),
        (
            with_rows(with_(value=0.9, interval=[0.1, 0.3]), "rot4", metric="top1"),
            "rot4 has rot4 accuracy 0.9, which lies outside of its interval, 0.1 to 0.3",
        ),
        (
            with_rows(with_(value=0.5, interval=None), "transformation blur", metric="r2", parameter=""),
            "transformation blur has blur R2 0.5 without its interval over test images",
        ),
        (
            with_rows(with_(value=float("nan")), "transformation blur"),
            "is damaged (it holds NaN, which is no number of JSON)",
        ),
    ],
)
def test_scores_that_miss_a_figure_or_cannot_be_are_refused(tmp_path: Path, change: Change, said: str) -> None:
    copy = changed(LITE0, tmp_path / "copy", change)
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        read_suite(EQUIVARIANCE, [copy], whole=True)
    text = str(raised.value)
    assert str(copy / "scores.json") in text
    assert "\n" not in text


def test_an_encoder_in_the_table_has_its_random_weights_where_they_can_be_drawn(tmp_path: Path) -> None:
    def alone(about: dict[str, Any]) -> None:
        about["parts"] = {name: part for name, part in about["parts"].items() if not part["control"]}

    def one_less(about: dict[str, Any]) -> None:
        about["parts"] = {name: part for name, part in about["parts"].items() if not name.startswith("random rot4")}

    for number, (change, missing) in enumerate(((alone, "layers"), (one_less, "rot4"))):
        copy = changed(LITE0, tmp_path / str(number), change)
        said = (
            f"{copy / 'scores.json'} has no scores of random {missing}, .*--suite equivariance` without --no-controls"
        )
        with pytest.raises(ValueError, match=said):
            read_suite(EQUIVARIANCE, [copy], whole=True)
    without = changed(LITE0, tmp_path / "without", alone)
    other = changed(without, tmp_path / "other", lambda about: about.update(weights="0" * 64))
    assert read_suite(EQUIVARIANCE, [other, LITE0], whole=True)  # they are scored once for an architecture
    for field, value in (("size", 97), ("arch", "resnet50")):
        unlike = changed(other, tmp_path / field, lambda about, field=field, value=value: about.update({field: value}))
        with pytest.raises(ValueError, match=rf"{field}.* has no scores of random"):
            read_suite(EQUIVARIANCE, [unlike, LITE0], whole=True)
    for number, why in enumerate(({"random_weights": True}, {"has_random_control": False})):
        copy = changed(without, tmp_path / f"none{number}", lambda about, why=why: about.update(why))
        assert read_suite(EQUIVARIANCE, [copy], whole=True)
    assert read_suite(EQUIVARIANCE, [SPECTRUM], whole=True)


@pytest.mark.parametrize("page", ["equivariance", "equivariance-clothing"])
def test_the_published_rows_pass_the_check_and_make_the_published_table(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(RESULTS.parents[1] / "experiments")
    from published import row_folders  # pyright: ignore[reportMissingImports]

    scores = RESULTS / page
    assert main(["suite", "equivariance", *map(str, row_folders(scores)), "--out", str(tmp_path)]) == 0
    published, _, reading = (RESULTS / f"{page}.md").read_text(encoding="utf-8").partition("## Reading")
    assert published.strip() == (tmp_path / "equivariance.md").read_text(encoding="utf-8").strip()
    assert reading
    assert "earlier figures" not in reading
    csv_file = scores / "equivariance.csv"
    assert csv_file.read_bytes() == (tmp_path / "equivariance.csv").read_bytes()
    for folder in row_folders(scores):
        file = folder / "scores.json"
        assert file.read_bytes() == (tmp_path / "equivariance" / folder.name / "scores.json").read_bytes()
        assert file.stat().st_size < 200_000
        assert not re.search(r'"/|file:|[A-Z]:\\', file.read_text(encoding="utf-8")), "a path of a machine"


def test_a_table_of_ones_own_may_miss_what_the_images_do_not_allow(tmp_path: Path) -> None:
    copy = changed(LITE0, tmp_path / "copy", without("knn"))
    (row, *_) = csv_rows(write_suite(EQUIVARIANCE, read_suite(EQUIVARIANCE, [copy]), tmp_path))
    assert row["encoder"] == "efficientnet_lite0 (tf_efficientnet_lite0)"


def test_a_setting_that_is_missing_had_its_default(tmp_path: Path) -> None:
    """A setting that a task gets later does not change what was scored before: `Task.revision` says what does."""

    def older(about: dict[str, Any]) -> None:
        for part in about["parts"].values():
            for setting in ("also", "temperature", "k"):
                part["settings"].pop(setting, None)

    assert read_suite(EQUIVARIANCE, [changed(LITE0, tmp_path / "older", older)], whole=True)
    for place, setting, said in (
        ("knn", "revision", "revision None, not 5"),
        ("layers", "repeats", "repeats 1, not 3"),
    ):

        def other(about: dict[str, Any], place: str = place, setting: str = setting) -> None:
            (part,) = (part for name, part in about["parts"].items() if name.startswith(place))
            del part["settings"][setting]

        copy = changed(LITE0, tmp_path / setting, other)
        with pytest.raises(ValueError, match=f"{re.escape(str(copy))}.*: {place} was scored with {said}"):
            read_suite(EQUIVARIANCE, [copy])


def test_scores_on_two_data_sets_in_one_file_are_refused(tmp_path: Path) -> None:
    def both(about: dict[str, Any]) -> None:
        (part,) = (part for name, part in about["parts"].items() if name.startswith("knn"))
        about["parts"]["knn on others"] = {**part, "data": "others"}

    with pytest.raises(ValueError, match=r"knn was scored on .* and on others"):
        read_suite(EQUIVARIANCE, [changed(LITE0, tmp_path / "copy", both)])


def test_scores_to_send_make_the_same_table_and_hold_no_path(tmp_path: Path) -> None:
    def of_files(about: dict[str, Any]) -> None:
        about |= {"name": "/home/somebody/a.b/weights.pth@resnet18, layer 2", "model": "/home/somebody/weights.pth"}
        about["arch"] = "resnet18"
        about["parts"]["others"] = {**next(iter(about["parts"].values())), "task": "linear"}

    copy = changed(LITE0, tmp_path / "copy", of_files)
    groups = read_suite(EQUIVARIANCE, [copy, SPECTRUM], whole=True)
    before = write_suite(EQUIVARIANCE, groups, tmp_path / "before")
    files = write_submissions(EQUIVARIANCE, groups, tmp_path / "sent")
    assert [file.parent.name for file in files] == [
        "weights.pth-resnet18-layer-2-96px-91dcd92f",
        "baseline-spectrum-96px-e3b0c442",
    ]
    about = json.loads(files[0].read_text())
    assert (about["name"], {part["task"] for part in about["parts"].values()}) == (
        "weights.pth@resnet18, layer 2",
        set(EQUIVARIANCE.settings),
    )
    for file in files:
        assert "/" not in re.sub(r"processor.*", "", file.read_text()), file
    sent = read_suite(EQUIVARIANCE, [file.parent for file in files], whole=True)
    after = write_suite(EQUIVARIANCE, sent, tmp_path / "after")
    assert before.read_text() == after.read_text()


def test_a_new_row_leaves_the_folders_of_earlier_ones_as_they_are(tmp_path: Path) -> None:
    def seed(name: str, **about: Any) -> Path:
        return changed(LITE0, tmp_path / name, lambda found: found.update(name="run", **about))

    sent, rows = tmp_path / "sent", []
    for number, new in enumerate(
        [
            seed("first", weights="1" * 64),
            seed("larger", weights="1" * 64, size=224),
            seed("other weights of the same seed", weights="2" * 64),
        ],
        start=1,
    ):
        before = {file: file.stat().st_mtime_ns for file in rows}
        folders = [*(file.parent for file in rows), new]
        rows += write_submissions(EQUIVARIANCE, read_suite(EQUIVARIANCE, folders, whole=True), sent)
        assert before == {file: file.stat().st_mtime_ns for file in before}
        assert set(rows) == set(sent.glob("*/scores.json"))
        assert len(rows) == number
    assert [file.parent.name for file in rows] == ["run-96px-11111111", "run-224px-11111111", "run-96px-22222222"]


def test_baselines_stand_beside_encoders_at_their_size(
    folder: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Suite("small", {"knn": {"limit": 40}}, [NEIGHBOURS], baselines=EQUIVARIANCE.baselines)
    monkeypatch.setitem(SUITES, "small", small)
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("scores.json"))
    given = ["evaluate", str(copy), "--data", str(folder), "--suite", "small", "--out"]
    size = load_model(run).size
    for more, own, baselines in (
        ([], ["small", "small"], ["thumbnail", "spectrum"]),
        (["--no-controls"], ["small"], []),
    ):
        out = tmp_path / f"out{len(more)}"
        assert main([*given, str(out), *more]) == 0
        printed = capsys.readouterr().out
        names = [row["encoder"] for row in csv_rows(out / "small.csv")]
        assert names == [*own, *(f"baseline:{name}" for name in baselines)]
        for name in baselines:
            assert json.loads((out / f"baseline-{name}" / "scores.json").read_text())["size"] == size
        assert ("thumbnail" in printed) == bool(baselines)
    baseline = Arguments(("baseline:thumbnail",), str(folder), suite="small", out=tmp_path)
    assert [each.subject.model for each in plan(baseline, small.tasks(), False, small.baselines)] == [
        "baseline:thumbnail"
    ]


def test_a_table_is_of_the_images_that_were_asked_for(tmp_path: Path) -> None:
    def both(about: dict[str, Any]) -> None:
        others = {f"{name} too": {**part, "data": "others", "rows": []} for name, part in about["parts"].items()}
        about["parts"] = {**others, **about["parts"]}

    copy = changed(SPECTRUM, tmp_path / "copy", both)
    before = write_suite(EQUIVARIANCE, read_suite(EQUIVARIANCE, [SPECTRUM]), tmp_path / "before")
    groups = read_suite(EQUIVARIANCE, [copy], data="tiny_imagenet_100.tar.gz")
    assert before.read_text() == write_suite(EQUIVARIANCE, groups, tmp_path / "after").read_text()


def test_a_suite_says_itself_what_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="--tasks, --limit: suite equivariance has fixed tasks and settings"):
        chosen_suite(Arguments(("m",), suite="equivariance", tasks="knn", limit=3))
    with pytest.raises(ValueError, match="'equivarianse' is unknown"):
        named_suite("equivarianse")
    assert main(["suite", "equivariance"]) == 2
    assert "needs folders of scores" in capsys.readouterr().err
    for command in ("suite", "evaluate"):
        assert main([command, "--help"]) == 0
        assert " ".join(SUITES).replace(" ", " or ") in " ".join(capsys.readouterr().out.replace("│", " ").split())
