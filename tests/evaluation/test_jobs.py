"""What is to be scored is settled before any work: tasks find their data, and what cannot be is said at once."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equicoherence.data.poses.objects import MANIFEST
from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.jobs import plan_jobs
from equicoherence.evaluation.poses.task import PoseProbes
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.task import Task, no_bar
from tests.evaluation.rows import QUICK, Noted

TASK = Segmentation(pixels=32, steps=4, batch=4)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Return a folder of pictures without classes."""
    rng = np.random.default_rng(0)
    (tmp_path / "flat").mkdir()
    for number in range(20):
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "flat" / f"{number:02}.png")
    return tmp_path / "flat"


def planned(names: list[str], data: Path, *, every: bool = True, **settings: dict[str, Any]) -> list[str]:
    return [job.task.name for job in plan_jobs(make_tasks(names, settings=settings), data, None, every)]


def test_with_labels_all_is_planned_and_the_images_are_described(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"transformations": ("rotation",)}
    names = ["transformation", "knn", "linear"]
    assert planned(names, folder, transformation=one) == names
    assert planned(["linear"], folder) == ["linear"]
    line = r"38 images, 2 classes \(disc, square\), held out: 10 images \(a fifth by a hash of their names\)\n"
    assert re.fullmatch(f"({line}){{2}}", capsys.readouterr().err)


def test_what_the_images_do_not_allow_is_left_out_with_a_line_or_refused_with_the_way_out(
    flat: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["transformation", "knn", "linear", "pose"]
    assert planned(names, flat, every=False, transformation={"transformations": ("blur",)}) == ["transformation"]
    said = capsys.readouterr().err
    assert said.count("\n") == 2  # and the images
    for reason in ("knn needs labelled images", "linear needs labelled images"):
        assert reason in said
    assert "pose" not in said  # nobody asked for poses
    with pytest.raises(ValueError, match=r"knn needs labelled images.*give --tasks transformation, which needs no"):
        planned(["transformation", "knn"], flat)
    with pytest.raises(ValueError, match=r"linear needs at least 2 labelled training images.*limit takes 1"):
        planned(["linear"], folder, linear={"limit": 1})
    with pytest.raises(ValueError, match="pose needs objects in poses"):
        planned(["pose", "retrieval"], folder, every=False)


def test_scores_are_not_of_other_images_of_the_same_names(flat: Path) -> None:
    def settings() -> dict[str, Any]:
        tasks = make_tasks(["transformation"], settings={"transformation": {"transformations": ("blur",)}})
        return plan_jobs(tasks, flat, None)[0].settings()

    before = settings()
    assert settings() == before
    for path in flat.iterdir():
        Image.new("RGB", (64, 64)).save(path)
    assert settings() != before


def test_tasks_say_what_is_to_be_given_where_it_is_not() -> None:
    with pytest.raises(ValueError, match="knn: give the images with --data"):
        plan_jobs(make_tasks(["knn"]), None, None)
    with pytest.raises(ValueError, match="segmentation: give the folder of the data sets with --sets"):
        plan_jobs([TASK], None, None)
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        plan_jobs(make_tasks(["knn"]), "no-such-folder", None)


def test_a_part_is_planned_once_however_its_settings_differ(camvid: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"segmentation \(frozen, linear\) on camvid: given twice"):
        plan_jobs([TASK, dataclasses.replace(TASK, steps=5)], None, camvid)
    with pytest.raises(ValueError, match=r"transformation rotation .*: given twice"):
        planned(["transformation"], folder, transformation={"transformations": ("rotation", "blur", "rotation")})


def test_a_set_that_is_missing_or_damaged_is_said_before_anything_is_scored(run: Path, sets: Path) -> None:
    out = sets.parent / "out"

    def score(tasks: list[str | Task], place: Path = sets) -> None:
        evaluate(run, sets=place, out=out, tasks=tasks, track=no_bar)

    with pytest.raises(ValueError, match=r"task depth: no data set for depth in .* looked for:\n  (.|\n)*nyuv2"):
        score([TASK, Depth()])
    with pytest.raises(FileNotFoundError, match="nothing at"):
        score([TASK], sets / "nowhere")
    (sets / "camvid" / "testannot" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"camvid \(val\) in .* 1 files are missing: .*1.png.* Get it from"):
        score([TASK])
    assert not out.exists()


def test_tasks_without_a_set_are_left_out_where_all_are_asked_for(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = plan_jobs([TASK, Depth()], None, camvid, every=False)
    assert [job.task.name for job in jobs] == ["segmentation"]
    assert "depth is left out" in capsys.readouterr().err


def test_scores_are_not_written_into_a_data_set(run: Path, sets: Path, folder: Path) -> None:
    inside = sets / "camvid" / "results"
    with pytest.raises(ValueError, match=r"camvid/results' is inside the data set '.*camvid', which scores would"):
        evaluate(run, sets=sets, out=inside, tasks=[TASK], track=no_bar)
    with pytest.raises(ValueError, match="results' is inside the data set"):
        evaluate(run, out=folder / "results", tasks=["knn"], track=no_bar)
    assert not inside.exists()
    assert not (folder / "results").exists()


def test_another_variant_of_the_same_samples_is_another_split(camvid: Path) -> None:
    (job,) = plan_jobs([TASK], None, camvid)
    before = job.settings()
    job.train.variant = "SegmentationClassAug"  # type: ignore[union-attr]
    about = plan_jobs([TASK], None, camvid)[0].about
    assert before["splits"] == about["splits"]
    assert before["splits"]["train"].startswith("6 of the folder, ")


def test_scores_of_a_set_whose_files_changed_are_taken_anew_and_of_one_that_moved_kept(
    run: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"

    def score(place: Path) -> tuple[dict[str, Any], bool]:
        track = Noted()
        scores = evaluate(run, sets=place, out=out, tasks=[TASK], controls=False, track=track)
        (part,) = scores["parts"].values()
        return part, bool(track.lines)

    first, _ = score(sets)
    moved = sets.rename(sets.parent / "elsewhere")
    assert score(moved) == (first, False)
    sets = moved.rename(sets)
    mask = sets / "camvid" / "testannot" / "1.png"
    Image.open(mask).save(mask, compress_level=0)
    assert score(sets)[1]
    assert "is scored again: files was" in capsys.readouterr().err
    os.utime(mask, (2e9, 2e9))  # of the same size, changed later
    assert score(sets)[1]
    assert "is scored again: newest was" in capsys.readouterr().err
    for folder in ("train", "trainannot"):
        (sets / "camvid" / folder / "5.png").unlink()
    part, anew = score(sets)
    assert anew
    assert re.search("is scored again: files was .*, splits was {'train': '6 of the folder", capsys.readouterr().err)
    assert part["counts"] == {"train": 5, "val": 3}
    assert part["settings"]["splits"]["train"].startswith("5 of the folder, ")


def test_a_folder_is_one_data_set_however_its_path_is_written(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(folder, tmp_path / "d"))
    (tmp_path / "link").symlink_to(data)
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"tasks": ["knn"], "controls": False, "out": tmp_path / "out"}
    first = evaluate(run, data="d", **given)
    for written in ("./d", "d/", "link", str(data), "beside/../d", data):
        track = Noted()
        assert evaluate(run, data=written, track=track, **given) == first
        assert track.lines == [], written
    data.rename(tmp_path / "beside" / "d")
    track = Noted()
    assert evaluate(run, data="beside/d", track=track, **given) == first
    assert track.lines == [], "moved"


def test_images_that_came_or_went_are_other_images(run: Path, folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(folder, tmp_path / "d"))
    given: dict[str, Any] = {"data": data, "tasks": ["transformation"], "controls": False, "out": tmp_path / "out"}
    evaluate(run, settings=QUICK, **given)
    next(data.rglob("*.png")).unlink()
    track = Noted()
    evaluate(run, settings=QUICK, track=track, **given)
    assert track.lines


def test_renders_of_another_manifest_are_other_renders(renders: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(renders, tmp_path / renders.name))
    before, same = (plan_jobs([PoseProbes()], place, None)[0].about for place in (renders, copy))
    assert {**same, "folder": before["folder"]} == before
    manifest = copy / MANIFEST
    manifest.write_text(manifest.read_text() + " ")
    assert plan_jobs([PoseProbes()], copy, None)[0].about["files"] != before["files"]
