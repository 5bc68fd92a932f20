"""The experiment on adapting encoders: what it keeps is enough for its pages, which are made from nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from equicoherence.reporting.adaptation.adaptation import read_adaptation
from equicoherence.training import load_config, pretrain
from equicoherence.training.config_file import save_config
from tests.small import picture_folder, small_config
from tests.test_experiments import EXPERIMENTS

WAYS = ("head", "lora", "all")  # the encoder below has no attention for LoRA
Run = Callable[..., str]
"""Run the experiment with further options; return its page."""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an experiment that was run once, with its pages in ``docs``."""
    place = tmp_path_factory.mktemp("experiment")
    data = picture_folder(place / "images", per_class=70)  # of which enough are held out to be watched
    pretrain(small_config(data, max_steps=1), place / "model")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        run_in(place, patch)("--only", *WAYS, "--baselines")
    (place / "said.txt").write_text(said.getvalue())
    return place


@pytest.fixture
def place(scored: Path, tmp_path: Path) -> Path:
    """Return a copy of what the experiment kept, without its runs."""
    shutil.copytree(scored / "docs", tmp_path / "docs")
    for name in ("images", "model"):
        (tmp_path / name).symlink_to(scored / name)
    return tmp_path


def experiment_in(place: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """Return the experiment, its pages being in a folder."""
    patch.syspath_prepend(EXPERIMENTS)
    import adapt as experiment  # pyright: ignore[reportMissingImports]

    results = place / "docs" / "results"
    results.mkdir(parents=True, exist_ok=True)
    for name, path in {
        "PAGE": results / "adapt.md",
        "KEPT": results / "adapt-kept.png",
        "CHART": place / "docs" / "adapt.png",
    }.items():
        patch.setattr(experiment, name, path)
    return experiment


def run_in(place: Path, patch: pytest.MonkeyPatch) -> Run:
    experiment = experiment_in(place, patch)
    fixed = [str(place / "model"), "--data", str(place / "images"), "--out", str(place / "out")]
    fixed += ["--images", "10", "--limit", "20"]

    def run(*options: str, steps: int = 1) -> str:
        patch.setattr("sys.argv", ["adapt.py", *fixed, "--steps", str(steps), *options])
        experiment.main()
        return experiment.PAGE.read_text(encoding="utf-8")

    return run


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return run_in(place, monkeypatch)


def kept(place: Path) -> Path:
    return place / "docs" / "results" / "adapt" / "model"


def test_what_is_kept_is_small_and_holds_no_path(scored: Path) -> None:
    files = sorted(file.relative_to(kept(scored)).as_posix() for file in kept(scored).rglob("*") if file.is_file())
    of_way = ["adapt.yaml", "adapt/adapted/scores.json", "adapt/original/scores.json", "config.yaml", "metrics.jsonl"]
    assert files == [
        *(f"all/{name}" for name in of_way),
        "beside-layers/scores.json",
        "beside-thumbnail/scores.json",
        *(f"head/{name}" for name in of_way),
    ]
    for file in files:
        assert str(scored) not in (kept(scored) / file).read_text(), file
        assert (kept(scored) / file).stat().st_size < 100_000
    config = load_config(kept(scored) / "head" / "config.yaml")
    assert (config.data, config.encoder.weights) == ("images", "model")


def test_a_way_that_an_encoder_cannot_take_is_named_before_any_is_trained_and_the_others_are_done(scored: Path) -> None:
    said = (scored / "said.txt").read_text()
    refusal = (
        "lora is left out, as model cannot be adapted so: encoder.train is lora:8, but LoRA is put on linear layers"
    )
    assert said.index(refusal) < said.index("images/s")
    runs = scored / "out" / "model"
    assert sorted(path.name for path in runs.iterdir()) == ["all", "beside-layers", "beside-thumbnail", "head"]
    page = (scored / "docs" / "results" / "adapt.md").read_text(encoding="utf-8")
    assert "\n| all | features |" in page
    assert "\n| lora |" not in page


def test_a_small_convolutional_network_can_take_each_way_but_lora(
    scored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_in(scored, monkeypatch)
    ways = experiment.ways_of_adapting(experiment.from_model(str(scored / "model"), str(scored / "images"), 1))
    assert list(experiment.refusals(ways)) == ["lora", "lora, ten times the rate"]
    rates = {name: ways[name].optim.lr / ways["head"].optim.lr for name in ways if ways[name].encoder.train == "all"}
    slow = {name for name in rates if "ten times the rate" not in name}
    assert slow == {"all", "all, with labels"}
    assert rates == pytest.approx({name: 0.1 if name in slow else 1.0 for name in rates})


def test_the_page_and_charts_from_what_is_kept_are_those_from_the_runs(
    scored: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    experiment, runs = experiment_in(scored, monkeypatch), scored / "out" / "model"
    ways = {name: read_adaptation(runs / name) for name in ("head", "all")}
    found = {"model": ways}
    beside = {"model": experiment.read_baselines(runs, ways["head"])}
    assert len(beside["model"]) == 2
    assert experiment.PAGE.read_text(encoding="utf-8") == experiment.page(found, beside)
    assert "*geodesic*" not in experiment.page(found, beside)
    assert "*geodesic*" in experiment.page({"model": {**ways, "head, geodesic": ways["head"]}}, beside)
    experiment.gained_and_kept(found, beside, tmp_path / "adapt.png")
    experiment.kept_over_steps(found, tmp_path / "adapt-kept.png")
    experiment.bars({"model": ways["head"]}, tmp_path / "bars.png")
    charts = {"adapt.png": experiment.PAGE.with_suffix(".png"), "adapt-kept.png": experiment.KEPT}
    for name, chart in {**charts, "bars.png": experiment.CHART}.items():
        assert (tmp_path / name).read_bytes() == chart.read_bytes(), name


def test_a_way_that_is_kept_is_not_done_again(run: Run, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = (place / "docs" / "results" / "adapt.md").read_text(encoding="utf-8")
    assert run("--only", "head", "all", "--baselines") == page
    said = capfd.readouterr().err
    assert [f"{name} of model is kept beside the page" in said for name in ("head", "all")] == [True, True]
    assert not (place / "out").exists()
    assert run("--page") == page


def test_finished_runs_are_kept_without_training_them(run: Run, place: Path, scored: Path) -> None:
    page = (place / "docs" / "results" / "adapt.md").read_text(encoding="utf-8")
    shutil.rmtree(place / "docs" / "results" / "adapt")
    with pytest.raises(FileNotFoundError, match="nothing to show"):
        run("--page")
    shutil.copytree(scored / "out", place / "out")
    assert run("--page") == page
    shutil.rmtree(place / "out")
    assert run("--page") == page


def change_config(way: Path) -> None:
    config = load_config(way / "config.yaml")
    save_config(replace(config, optim=replace(config.optim, lr=1.0)), way / "config.yaml")


def change_images(way: Path) -> None:
    (way / "adapt.yaml").write_text((way / "adapt.yaml").read_text().replace("images: 10", "images: 12"))


def change_revision(way: Path) -> None:
    with changed_scores(way) as parts:
        for part in parts.values():
            part["settings"]["revision"] -= 1


def drop_knn(way: Path) -> None:
    with changed_scores(way) as parts:
        del parts[next(name for name, part in parts.items() if part["task"] == "knn")]


@contextlib.contextmanager
def changed_scores(way: Path) -> Iterator[dict[str, Any]]:
    """Yield the parts of the scores of an adapted encoder, and write them as they are then."""
    file = way / "adapt" / "adapted" / "scores.json"
    scores: dict[str, Any] = json.loads(file.read_text())
    yield scores["parts"]
    file.write_text(json.dumps(scores))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_config, "its scores are of another configuration than that of today"),
        (change_images, "it was scored with check None, images 12, limit 20, not with check None, images 10, limit 20"),
        (drop_knn, "its scores, or those of its original, are of other tasks than those of today"),
        (change_revision, "its scores, or those of its original, are of other tasks than those of today"),
    ],
)
def test_scores_that_are_not_as_of_today_are_left_out_and_named_and_the_page_keeps_its_rows(
    run: Run, place: Path, capfd: pytest.CaptureFixture[str], change: Callable[[Path], None], why: str
) -> None:
    page = place / "docs" / "results" / "adapt.md"
    before = page.read_text(encoding="utf-8")
    change(kept(place) / "all")
    with pytest.raises(SystemExit, match=r"adapt\.md is left as it was: it has all under 'model', whose scores"):
        run("--page")
    assert f"model/all is left out: {why}" in capfd.readouterr().err
    assert page.read_text(encoding="utf-8") == before
    after = run("--page", "--replace")
    assert "\n| all |" not in after
    assert "\n| head | z_equi |" in after


def test_a_way_of_an_encoder_that_is_not_given_is_left_out_where_the_recipe_is_another(
    run: Run, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = kept(place).with_name("other")
    shutil.copytree(kept(place), other)
    for way in ("head", "all"):
        config = load_config(other / way / "config.yaml")
        save_config(replace(config, max_steps=7), other / way / "config.yaml")  # each encoder has its own steps
    assert "\n## other\n" in run("--page")
    change_config(other / "all")
    (other / "all").rename(other / "an-old-way")
    shutil.copytree(other / "an-old-way", other / "all")
    with pytest.raises(SystemExit, match=r"left as it was: it has all under 'other', whose scores"):
        run("--page")
    after = run("--page", "--replace").partition("\n## other\n")[2]
    assert "\n| head | z_equi |" in after
    assert "\n| all |" not in after
    said = capfd.readouterr().err
    assert "other/all is left out: its scores are of another configuration" in said
    assert "other/an-old-way is left out: there is no such way of adapting today" in said


def test_a_finished_run_of_other_steps_is_not_kept(
    run: Run, place: Path, scored: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(scored / "out", place / "out")
    shutil.rmtree(kept(place))
    with pytest.raises(FileNotFoundError):
        run("--page", steps=2)
    assert "head is not kept: its scores are of another configuration" in capfd.readouterr().err
    assert not kept(place).exists()


def test_a_page_that_is_refused_does_not_end_the_command_and_scores_are_made_with_the_options_of_today(
    run: Run, place: Path, scored: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = (place / "docs" / "results" / "adapt.md").read_text(encoding="utf-8")
    shutil.copytree(scored / "out", place / "out")
    for way in ("head", "all"):
        shutil.rmtree(kept(place) / way)
    options = place / "out" / "model" / "head" / "adapt.yaml"
    earlier = options.read_text()
    options.write_text(earlier.replace("check: null", f"check: {place / 'images'}"))
    assert run("--only", "head", "all") == page
    assert "left as it was: it has all under 'model', whose scores" in capfd.readouterr().err
    assert options.read_text() == (kept(place) / "head" / "adapt.yaml").read_text() == earlier


def test_another_encoder_of_the_same_name_is_refused(run: Run, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = kept(place) / "head" / "config.yaml"
    config = load_config(file)
    save_config(replace(config, encoder=replace(config.encoder, fingerprint="another")), file)
    with pytest.raises(SystemExit):
        run("--page")
    assert "is of an encoder with the fingerprint 'another'" in capfd.readouterr().err


def test_a_relative_path_of_the_encoder_is_not_kept(
    scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_in(scored, monkeypatch)
    shutil.copytree(scored / "out" / "model" / "head", tmp_path / "up" / "head")
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "up")
    config = load_config(Path("head/config.yaml"))
    save_config(replace(config, encoder=replace(config.encoder, weights="../model")), Path("head/config.yaml"))
    experiment.keep(Path("head"), "head", tmp_path / "kept")
    assert load_config(tmp_path / "kept" / "head" / "config.yaml").encoder.weights == "model"
    assert experiment.encoder_name(".") == "up"
