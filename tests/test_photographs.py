"""Experiments that train on photographs: what is still to be done, and the page of every method."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from equicoherence.evaluation.suites import Suite
from equicoherence.reporting.comparison.lines import Group
from equicoherence.reporting.labels import receives_labels
from equicoherence.reporting.suite_table import SuiteRow
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import MISSING
from equicoherence.training.config_file import to_dict
from tests.small import picture_folder, small_config
from tests.test_experiments import EXPERIMENTS

SETTINGS = {"knn": {"k": 3}}


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the experiment with every method."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import every_method  # pyright: ignore[reportMissingImports]

    return every_method


def test_arms_that_are_asked_for_alone_have_the_seeds_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import photographs  # pyright: ignore[reportMissingImports]
    import vicreg_tiny_imagenet as experiment  # pyright: ignore[reportMissingImports]

    asked = []

    def compare(arms: Iterable[str], out: Path, seeds: Iterable[int], **_: object) -> dict[str, list[Path]]:
        asked.append(([*arms], [*seeds]))
        return {}

    monkeypatch.setattr(photographs, "compare", compare)
    monkeypatch.setattr(experiment, "PAGES", tmp_path)  # beside its pages no scores lie
    monkeypatch.setattr(experiment, "published", lambda place, configs: [])
    monkeypatch.setattr(experiment, "page", lambda evaluated, configs: "")

    def run(*arguments: str) -> list[tuple[list[str], list[int]]]:
        asked.clear()
        monkeypatch.setattr("sys.argv", ["vicreg_tiny_imagenet.py", "--data", "pictures", *arguments])
        experiment.main()
        return asked

    both = [experiment.PLAIN, experiment.BEST]
    assert run("--only", *both, "--seeds", "1", "2") == [(both, [1]), (both, [2])]
    assert [page.name for page in tmp_path.iterdir()] == ["vicreg-tiny-imagenet-1500-steps.md"]
    assert run("--only", experiment.PLAIN) == [([experiment.PLAIN], [0])]
    assert run()[:3] == [([*experiment.FIRST], [0]), ([*experiment.MAIN], [0]), ([*experiment.MAIN], [1])]
    with pytest.raises(SystemExit):
        run("--seeds", "1")
    assert "give --only, too" in capsys.readouterr().err


def test_what_is_missing_beside_a_page_is_trained_and_random_weights_are_scored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import photographs as experiment  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(experiment, "SUITE", Suite("small", SETTINGS, ()))
    config = replace(small_config(picture_folder(tmp_path / "images")), max_steps=1)
    configs = {"plain": config, "longer": replace(config, max_steps=2), "other": replace(config, max_steps=3)}
    place, pages = tmp_path / "page.md", []

    def write() -> None:
        pages.append(sorted(path.name for path in place.with_suffix("").iterdir()))
        raise experiment.RowsLost("page.md is left as it was")

    experiment.score_missing(["longer"], [0], configs, tmp_path / "runs", place, write)
    experiment.score_missing(["plain", "longer"], [0], configs, tmp_path / "runs", place, write)
    experiment.score_missing(["plain", "longer"], [0], configs, tmp_path / "runs", place, write)
    assert pages == [["longer-seed0"], ["longer-seed0", "plain-seed0"]]
    assert capfd.readouterr().err.count("page.md is left as it was") == 2
    files = {file.parent.name: json.loads(file.read_text()) for file in place.with_suffix("").glob("*/scores.json")}
    controls = {name: {part["control"] for part in scores["parts"].values()} for name, scores in files.items()}
    assert controls == {"longer-seed0": {"", "random"}, "plain-seed0": {""}}


def test_methods_are_compared_with_and_without_the_task_on_equal_numbers_of_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import every_method as experiment  # pyright: ignore[reportMissingImports]

    pairs = experiment.arms("pictures", 512)
    assert len(pairs) == 10
    for plain, task, *rivals in (pair.values() for pair in pairs.values()):
        assert plain.coherence is None
        assert task.coherence is not None
        for config in (plain, task, *rivals):
            assert config.max_steps * config.optim.batch_size == 512
        for rival in rivals:
            assert rival.coherence is None
            assert rival.optim == plain.optim
            assert rival.encoder == plain.encoder
            assert rival.views.first == plain.views.first
    longer = experiment.arms("pictures", 1200128, "bf16")["ibot"]["iBOT"]
    assert longer.precision == "bf16"
    assert longer.max_steps == 9376 <= longer.optim.epochs * (experiment.IMAGES // longer.optim.batch_size)
    assert [*pairs["mocov3"]] == ["MoCo v3", "MoCo v3 + task", "MoCo v3 + SER"]
    seeing_g = {name: config.views.path for pair in pairs.values() for name, config in pair.items() if "," in name}
    assert seeing_g == {"SimCLR + STL, with g": "se2"}
    for name, config in (pairs["simclr"] | pairs["mocov3"]).items():
        if name.endswith(("E-SSL", "SER")):
            assert config.views.path == "none"


def suite_row(methods: ModuleType, name: str, kind: str, **values: float) -> SuiteRow:
    """Return a row with some scores, by the title of their column, _ for a space."""
    scores: list[Score | None] = []
    for figure in methods.SUITE.figures:
        value = values.get(figure.title.replace(" ", "_").replace("-", "_"))
        about = (figure.task, "pictures", "frozen", figure.target, "", "backbone", "mlp", figure.metric, "", "")
        scores.append(
            None if value is None else Score(name, *about, value, None, value, value, 1, "runs", None, True, True)
        )
    return SuiteRow(name, kind, scores)


def test_no_arm_with_labels_has_a_share_of_the_headroom(methods: ModuleType) -> None:
    import vicreg_tiny_imagenet as experiment  # pyright: ignore[reportMissingImports]

    scores = {experiment.PLAIN: 0.5, experiment.ORACLE_ALL: 0.9, experiment.ALL_LIGHT: 0.7, experiment.ALL_LABELS: 0.8}
    plain, *rows = (suite_row(methods, name, "", color_R2=score) for name, score in scores.items())
    configs = experiment.arms("pictures", 1, "fp32")
    labelled = {name for name, config in configs.items() if receives_labels(to_dict(config))}
    grid = experiment.headroom(methods.SUITE, [plain, *rows], plain, labelled)
    found = [dict(zip(grid.header, row)) for row in grid.rows]
    assert [row["arm"] for row in found] == [experiment.ALL_LIGHT]
    assert found[0]["color R2"] == "50 %"


def test_changes_are_marked_where_noise_is_read_and_stand_beside_random_weights_of_the_same_encoder(
    methods: ModuleType,
) -> None:
    rows = [
        suite_row(methods, "A", "", color_R2=0.5, scale_R2=0.1, linear_accuracy=0.2),
        suite_row(methods, "A", "random weights", color_R2=0.9, k_NN_accuracy=0.05),
        suite_row(methods, "A + task", "", color_R2=0.75, scale_R2=0.2, linear_accuracy=0.19, scale_R2_on_noise=0.03),
        suite_row(methods, "A + SER", "", color_R2=0.45),
        suite_row(methods, "B", "", color_R2=0.5, k_NN_accuracy=0.1),
        suite_row(methods, "B + task", "", color_R2=0.5, k_NN_accuracy=0.12),
        suite_row(methods, "C", "", color_R2=0.5),
        suite_row(methods, "D", "", color_R2=0.5),
        suite_row(methods, "D + task", "", color_R2=0.5),
    ]
    groups = [Group(row.name, "vit" if row.name[0] == "D" else "resnet18", 32, "b", ()) for row in rows]
    grid = methods.changes(rows, groups)
    found = [dict(zip(grid.header, [getattr(cell, "content", cell) for cell in row])) for row in grid.rows]
    minus, random = "\N{MINUS SIGN}", "k-NN accuracy of random weights"
    assert [row["method"] for row in found] == ["A + task", "A + SER", "B + task", "D + task"]
    assert [row[random] for row in found] == ["5.0 %", "5.0 %", "5.0 %", MISSING]
    assert found[0]["color R2"] == "+0.250 from 0.500"
    assert found[0]["scale R2"] == "+0.100 from 0.100 (!)"
    assert found[0]["linear accuracy"] == f"{minus}1.0 from 20.0 %"
    assert found[1]["color R2"] == f"{minus}0.050 from 0.500"
    assert found[2]["k-NN accuracy"] == "+2.0 from 10.0 %"
    assert found[0]["rotation R2"] == MISSING


def test_the_page_of_every_method_is_made_from_scores_and_says_how_many_images_were_seen(
    methods: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import photographs  # pyright: ignore[reportMissingImports]

    suite = Suite("small", SETTINGS, [figure for figure in methods.SUITE.figures if figure.task == "knn"])
    monkeypatch.setattr(methods, "SUITE", suite)
    monkeypatch.setattr(photographs, "SUITE", suite)
    monkeypatch.setattr(methods, "PAGE", tmp_path / "methods.md")

    def run(images: int, *more: str) -> None:
        options = ["--data", "pictures", "--out", str(tmp_path / "runs"), "--methods", "vicreg"]
        monkeypatch.setattr("sys.argv", ["every_method.py", *options, "--images", str(images), *more])
        methods.main()

    with pytest.raises(SystemExit):
        run(384)
    assert "--images 384 is no multiple of the batch size 256: give one of 256" in capfd.readouterr().err
    other = tmp_path / "methods-768-images.md"
    other.write_text("Written by `every_method.py --images 768`; scored in mixed precision", encoding="utf-8")
    with pytest.raises(SystemExit):
        run(768, "--precision", "bf16")
    assert "methods-768-images.md has runs of --precision fp32, not bf16" in capfd.readouterr().err
    config = replace(small_config(picture_folder(tmp_path / "images")), max_steps=1)
    config = replace(config, optim=replace(config.optim, batch_size=24))
    monkeypatch.setattr(methods, "arms", lambda *_: {"vicreg": {"A": config.plain(), "A + task": config}})
    run(512)
    place = tmp_path / "methods-512-images.md"
    assert "thumbnail" not in place.read_text(encoding="utf-8").lower()
    run(512, "--baselines")
    page = place.read_text(encoding="utf-8")
    assert page.startswith("# Every method, with and without the task, 24 images\n")
    assert "*Thumbnail of 16 x 16 pixels* and *spectrum* are no encoders" in page
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    names = [row[0] for row in tables if row[0] != "---"]
    assert names == [
        "method",
        "A + task",
        "encoder",
        "A",
        "A, random weights",
        "A + task",
        "thumbnail of 16 x 16 pixels",
        "spectrum",
        "constant",
        "encoder",
        "A + task",
        "constant",
    ]
    place.unlink()
    monkeypatch.setattr(methods, "score_missing", lambda *_: pytest.fail("--page trains or scores"))
    run(512, "--page")
    assert place.read_text(encoding="utf-8") == page
    change, floor = tables[2][1:]
    rows = {row[0]: row[1].partition(" [")[0] for row in tables[3:8]}
    assert change.partition(" from ")[2] == rows["A"]
    assert floor == rows["A, random weights"]
    kept, arm = (
        json.loads((place.with_suffix("") / row / "scores.json").read_text()) for row in ("spectrum", "a-seed0")
    )
    assert kept["size"] == config.views.size
    splits = {str(part["settings"]["splits"]) for scores in (kept, arm) for part in scores["parts"].values()}
    assert len(splits) == 1, "the spectrum is of other images than the arms"
