"""Objects in poses on any encoder, from rendered files to rows of `pose` and `retrieval`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from equicoherence.data import ThreeDIEBench, TooManyBadImages
from equicoherence.data.poses.objects import MANIFEST
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.poses import scoring
from equicoherence.evaluation.poses.read_renders import usual_views
from equicoherence.evaluation.task import main_rows, no_bar
from tests.evaluation.rows import Noted, rows_of, values_of

PROBES = {"epochs": 2, "hidden": 16}
FEATURES = "renders: features"


def score(data: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Score both tasks of a small transformer with random weights."""
    given: dict[str, Any] = {"tasks": ["pose", "retrieval"], "settings": {"pose": PROBES}, "random_weights": True}
    given |= {"size": 32, "controls": False, "track": no_bar}
    return evaluate("timm:test_vit", data=data, out=out, **{**given, **options})


@pytest.fixture(scope="module")
def scored(renders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """Return the scores of a model and its random weights, and what was done for them."""
    track, out = Noted(), tmp_path_factory.mktemp("out")
    found = score(renders, out, controls=True, track=track)
    assert json.loads((out / "scores.json").read_text()) == found
    return found, track.lines


def test_a_constant_scores_nothing_per_dimension_and_something_by_one_scalar_mean(scored: Any) -> None:
    of_rotation = {"target": "relative_rotation", "probe": "mlp", "control": ""}
    (per_dimension,) = rows_of(scored[0], metric="r2", parameter="", **of_rotation)
    (scalar,) = rows_of(scored[0], metric="r2_scalar_mean", **of_rotation)
    assert per_dimension["floor"] == pytest.approx(0, abs=0.05)
    assert scalar["floor"] == pytest.approx(0.23, abs=0.1)


def test_every_measure_is_there_with_its_floor_for_the_model_and_for_random_weights(scored: Any) -> None:
    for control in ("", "random"):
        found = rows_of(scored[0], control=control, representation="backbone")
        targets = {"relative_rotation", "color", "absolute_rotation", "class"}
        assert {row["target"] for row in found if row["task"] == "pose"} == targets
        assert {row["probe"] for row in found if row["task"] == "retrieval"} == {"fitted_linear_map", "identity"}
        assert all(row["floor"] is not None and row["chance"] is not None for row in found)
    assert all(part["counts"] == {"train": 80, "val": 20} for part in scored[0]["parts"].values())
    assert all(value == 0 for value in values_of(scored[0], metric="hit_at_1", probe="identity"))


def test_the_main_figures_are_of_the_mlp_the_class_and_the_fitted_map(scored: Any) -> None:
    pose, retrieval = (main_rows(part) for part in list(scored[0]["parts"].values())[:2])
    assert {(row["target"], row["metric"], row["probe"]) for row in pose} == {
        ("relative_rotation", "r2", "mlp"),
        ("color", "r2", "mlp"),
        ("absolute_rotation", "r2", "mlp"),
        ("class", "top1", "linear"),
    }
    assert [(row["metric"], row["probe"]) for row in retrieval] == [("mrr", "fitted_linear_map")]


def test_renders_are_read_once_for_both_tasks(scored: Any) -> None:
    assert scored[1].count(FEATURES) == 2 * 2, "two splits, two encoders"


def test_more_views_than_any_object_has_are_refused(renders: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 9 views"):
        score(renders, tmp_path, settings={"pose": {**PROBES, "views": 9}})
    assert not (tmp_path / "scores.json").exists()


def test_scores_of_the_same_renders_are_kept_and_of_other_settings_or_renders_taken_anew(
    renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, again = Path(shutil.copytree(renders, tmp_path / "set")), tmp_path / "out", Noted()
    first = score(data, out)
    assert score(data, out, track=again) == first
    (tmp_path / "moved").mkdir()
    moved = data.rename(tmp_path / "moved" / "set")
    assert score(moved, out, track=again) == first
    assert again.lines == []
    second = score(moved, out, tasks=["retrieval"], settings={"retrieval": {"sources": 2}})
    assert (
        "retrieval (frozen, predicted views) on set is scored again: sources was 5 and is 2" in capsys.readouterr().err
    )
    assert rows_of(second, task="pose") == rows_of(first, task="pose")
    assert values_of(second, task="retrieval") != values_of(first, task="retrieval")
    manifest = moved / MANIFEST
    manifest.write_text(manifest.read_text() + " ")
    score(moved, out, tasks=["retrieval"], settings={"retrieval": {"sources": 2}}, track=again)
    assert again.lines.count(FEATURES) == 2, "rendered anew"
    with pytest.raises(ValueError, match="holds scores for size 32, these are for 64; give another --out"):
        score(moved, out, size=64)


def test_as_sie_retrieval_starts_from_the_first_view_which_is_a_target_too(renders: Path, tmp_path: Path) -> None:
    found = score(renders, tmp_path, tasks=["retrieval"], settings={"retrieval": {"setting": "sie"}})
    (part,), views = found["parts"].values(), usual_views(ThreeDIEBench(renders, "val"))
    assert part["protocol"] == "frozen, predicted views as SIE"
    itself = rows_of(found, probe="identity", metric="hit_at_1", control="")
    assert [row["value"] for row in itself] == [pytest.approx(1 / views)] * len(itself), "the first view finds itself"


def test_damaged_renders_are_counted_and_said_and_too_many_refused(
    renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(renders, tmp_path / "set"))
    image = ThreeDIEBench(copy, "train").name(4)
    (copy / image).write_bytes(b"no image")
    (part,) = score(copy, tmp_path / "out", tasks=["retrieval"], settings=None)["parts"].values()
    assert part["counts"] == {"train": 80, "val": 20, "damaged in train": 1}
    assert "set: 1 damaged images" in capsys.readouterr().err
    with pytest.raises(TooManyBadImages, match="bad_image_tolerance = 0 "):
        score(copy, tmp_path / "none", tasks=["retrieval"], settings=None, bad_image_tolerance=0)


def test_retrieval_that_is_left_out_for_its_width_is_named(
    run: Path, renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "WIDEST", 15)  # of a run's 16 channels, 8 are z_equi
    found = evaluate(run, data=renders, tasks=["retrieval"], controls=False, out=tmp_path / "run", track=no_bar)
    assert {row["representation"] for row in rows_of(found)} == {"z_equi"}
    assert (
        "no retrieval for backbone (16 channels), z (16 channels): a map is fitted up to 15" in capsys.readouterr().err
    )
    with pytest.raises(ValueError, match="retrieval needs features of up to 15 channels; leave the task out"):
        score(renders, tmp_path / "wide", tasks=["retrieval"], settings=None)


def test_given_images_tasks_read_renders_too(run: Path, renders: Path, tmp_path: Path) -> None:
    scores = evaluate(run, data=renders, tasks=["knn", "pose"], settings={"pose": PROBES}, out=tmp_path, track=no_bar)
    assert {part["task"] for part in scores["parts"].values()} == {"knn", "pose"}
