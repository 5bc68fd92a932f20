"""`scores.json` over several evaluations: what is kept, dropped or refused, and what an interruption leaves."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.fingerprint import config_digest
from equicoherence.evaluation.picture import files_of, shown_in
from equicoherence.evaluation.run import results_folder
from equicoherence.evaluation.store import SCHEMA, Store, read_scores
from equicoherence.evaluation.task import no_bar
from equicoherence.files import alone
from equicoherence.finite import NotFinite
from equicoherence.training import PretrainConfig
from tests.evaluation.rows import QUICK, Noted, rows_of, values_of, without_time
from tests.small import picture_folder

TASK = Segmentation(pixels=32, steps=4, batch=4)
OWN, RANDOM = "segmentation (frozen, linear) on camvid", "random segmentation (frozen, linear) on camvid"
HEAD = "segmentation: head"
ABOUT = {"model": "a", "name": "a", "seed": 0, "config": None, "weights": "w", "build": "b"}
ABOUT |= {"size": 32, "layer": None, "arch": "resnet18", "random_weights": False}


def train_on(run: Path) -> None:
    """Change the weights of a run, as further training does."""
    weights = load_file(run / "model.safetensors")
    save_file({name: t + 0.01 * (t.is_floating_point()) for name, t in weights.items()}, run / "model.safetensors")


def pictures_of(scores: dict[str, Any], out: Path) -> set[Path]:
    return {out / file for part in scores["parts"].values() for file in files_in(part)}


def files_in(part: dict[str, Any]) -> list[str]:
    return [file for shown in shown_in(part).values() for file in files_of(shown)]


def test_scores_of_the_model_and_of_random_weights_are_written_with_pictures(
    run: Path, camvid: Path, tmp_path: Path
) -> None:
    scores = evaluate(run, sets=camvid, out=tmp_path, tasks=[TASK], track=no_bar)
    assert scores == json.loads((tmp_path / "scores.json").read_text())
    assert list(scores["parts"]) == [OWN, RANDOM]
    assert [part["control"] for part in scores["parts"].values()] == ["", "random"]
    part = scores["parts"][OWN]
    assert part["counts"] == {"train": 6, "val": 3}
    assert {row["metric"] for row in part["rows"]} == set(TASK.metrics)
    assert pictures_of(scores, tmp_path) == set((tmp_path / "pictures").iterdir())
    assert all(np.array(Image.open(file)).ndim == 3 for file in pictures_of(scores, tmp_path))
    assert len(part["shown"]) > 0
    for title, shown in part["shown"].items():
        control = scores["parts"][RANDOM]["shown"][title]
        assert list(shown["given"]) == ["image", "true classes"]
        assert shown["given"] == control["given"], "written once"
        assert shown["predicted"] != control["predicted"]
    assert part["versions"]["torch"]
    assert part["date"]


def test_what_is_scored_is_kept_and_its_file_left_as_it_is(run: Path, camvid: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"sets": camvid, "out": tmp_path, "tasks": [TASK]}
    first = evaluate(run, controls=False, track=no_bar, **given)
    written = (tmp_path / "scores.json").stat().st_mtime_ns
    again = Noted()
    assert evaluate(run, controls=False, track=again, **given) == first
    assert again.lines == []
    assert (tmp_path / "scores.json").stat().st_mtime_ns == written, "nor is it dated anew"
    both = evaluate(run, track=again, **given)
    assert again.lines.count(HEAD) == 1, "the random weights alone"
    assert both["parts"][OWN] == first["parts"][OWN]
    assert evaluate(run, track=again, controls=False, **given) == both
    assert again.lines.count(HEAD) == 1


def test_tasks_are_kept_beside_each_other_and_one_of_other_settings_is_replaced(
    copied: Callable[[], Path], camvid: Path
) -> None:
    run = copied()
    first = evaluate(run, tasks=("transformation",), settings=QUICK, controls=False)
    second = evaluate(run, tasks=("knn",), settings={"knn": {"limit": 10}})
    assert second == json.loads((run / "scores.json").read_text())
    assert list(dict.fromkeys(part["task"] for part in second["parts"].values())) == ["transformation", "knn"]
    third = evaluate(run, tasks=("knn",), settings={"knn": {"limit": 20}}, controls=False)
    (knn,) = (part for part in third["parts"].values() if part["task"] == "knn")  # nor random weights of limit 10
    assert knn["settings"]["limit"] == 20
    both = evaluate(run, tasks=[TASK], sets=camvid, controls=False, track=no_bar)
    for scores in (second, third, both):
        assert rows_of(scores, task="transformation") == rows_of(first, task="transformation")
    assert values_of(both, task="knn") == values_of(third, task="knn"), "images and data sets stand in one file"


def test_a_part_of_other_settings_is_replaced_with_its_pictures_and_its_random_weights(
    run: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(run, sets=camvid, out=tmp_path, tasks=[TASK], track=no_bar)
    before = set((tmp_path / "pictures").iterdir())
    other = dataclasses.replace(TASK, steps=5)
    scores = evaluate(run, sets=camvid, out=tmp_path, tasks=[other], controls=False, track=no_bar)
    said = capsys.readouterr().err
    assert f"{OWN} is scored again: steps was 4 and is 5" in said
    assert f"the scores of {RANDOM} are dropped" in said
    assert list(scores["parts"]) == [OWN]
    assert pictures_of(scores, tmp_path) == set((tmp_path / "pictures").iterdir())
    assert not before & pictures_of(scores, tmp_path)


def test_two_protocols_of_a_task_stand_side_by_side_with_pictures_of_their_own(
    run: Path, camvid: Path, tmp_path: Path
) -> None:
    tuned = Segmentation(encoder="fine-tuned", pixels=32, tuned_steps=1, tuned_batch=2)
    given: dict[str, Any] = {"sets": camvid, "out": tmp_path, "controls": False}
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, tasks=[TASK, tuned], track=Noted("segmentation: fine-tuning"), **given)
    scores = evaluate(run, tasks=[tuned], track=no_bar, **given)
    assert [part["protocol"] for part in scores["parts"].values()] == [TASK.protocol, tuned.protocol]
    first, second = (set(files_in(part)) for part in scores["parts"].values())
    assert not first & second
    assert pictures_of(scores, tmp_path) == set((tmp_path / "pictures").iterdir())


def test_an_interrupted_evaluation_goes_on_where_it_stopped_and_says_what_is_kept(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"transformation": {**QUICK["transformation"], "transformations": ("rotation", "color")}}
    arguments: dict[str, Any] = {"tasks": ("transformation", "knn"), "settings": settings, "controls": False}
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, out=tmp_path / "twice", track=Noted("labelled images: features"), **arguments)
    assert re.search(r"2 of 3 scores of .*run are kept in .*twice; the same command goes on", capsys.readouterr().err)
    begun = json.loads((tmp_path / "twice" / "scores.json").read_text())
    assert [part["variant"] for part in begun["parts"].values()] == ["rotation", "color"]
    rest = Noted()
    scores = evaluate(run, out=tmp_path / "twice", track=rest, **arguments)
    assert set(rest.lines) == {"labelled images: features"}
    once = evaluate(run, out=tmp_path / "once", track=no_bar, **arguments)
    assert without_time(scores) == without_time(once)


def test_an_interrupted_try_of_other_settings_leaves_finished_scores_as_they_are(
    run: Path, camvid: Path, tmp_path: Path
) -> None:
    first = evaluate(run, sets=camvid, out=tmp_path, tasks=[TASK], track=no_bar)
    other = dataclasses.replace(TASK, steps=5)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, sets=camvid, out=tmp_path, tasks=[other], track=Noted(HEAD))
    again = Noted()
    assert evaluate(run, sets=camvid, out=tmp_path, tasks=[TASK], track=again) == first
    assert again.lines == []
    assert pictures_of(first, tmp_path) == set((tmp_path / "pictures").iterdir())


def test_scores_of_a_run_that_was_trained_on_are_dropped_and_a_line_says_so(
    copied: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied()
    before = evaluate(run, tasks=("transformation",), settings=QUICK, controls=False)
    assert "other weights" not in capsys.readouterr().err
    train_on(run)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, tasks=("knn",), controls=False, track=Noted("labelled images: features"))
    assert json.loads((run / "scores.json").read_text()) == before, "until there is a first new score"
    after = evaluate(run, tasks=("knn",), controls=False)
    assert "scores.json: its scores are of other weights and are dropped" in capsys.readouterr().err
    assert {part["task"] for part in after["parts"].values()} == {"knn"}
    assert after["weights"] != before["weights"]


def test_scores_of_an_encoder_with_another_normalisation_are_dropped_and_of_another_model_refused(
    copied: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = copied(), tmp_path / "out"
    first = evaluate(run, out=out, tasks=["knn"], controls=False)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("  mean: null\n", "  mean: [0.1, 0.2, 0.3]\n"))
    second = evaluate(run, out=out, tasks=["knn"], controls=False)
    assert "are of other arguments or normalisation of the encoder and are dropped" in capsys.readouterr().err
    assert first["weights"] == second["weights"]
    other = Path(shutil.copytree(run, tmp_path / "other"))
    train_on(other)
    with pytest.raises(ValueError, match=r"holds scores of '.*copied', these are of '.*other'; give another --out"):
        evaluate(other, out=out, tasks=["knn"], controls=False)
    assert json.loads((out / "scores.json").read_text()) == second


def test_a_run_that_was_moved_keeps_its_scores_under_its_new_name(copied: Callable[[], Path], tmp_path: Path) -> None:
    run = copied()
    first, again = evaluate(run, tasks=["knn"], controls=False), Noted()
    moved = run.rename(tmp_path / "moved")
    second = evaluate(moved, tasks=["knn"], controls=False, track=again)
    assert again.lines == []
    assert second["parts"] == first["parts"]
    assert second["model"] == str(moved) == json.loads((moved / "scores.json").read_text())["model"]


def test_another_size_or_architecture_is_refused_before_any_work_and_other_data_stand_beside(
    tmp_path: Path, folder: Path
) -> None:
    def bare(model: str, size: int, data: Path) -> dict[str, Any]:
        given: dict[str, Any] = {"tasks": ["knn"], "controls": False, "random_weights": True, "track": no_bar}
        return evaluate(model, data=data, size=size, out=tmp_path / "out", **given)

    scores = bare("timm:resnet10t", 32, folder)
    with pytest.raises(ValueError, match="holds scores for size 32, these are for 48; give another --out"):
        bare("timm:resnet10t", 48, folder)
    with pytest.raises(ValueError, match="holds scores for arch 'resnet10t', these are for 'resnet18'"):
        bare("timm:resnet18", 32, folder)
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == scores
    both = bare("timm:resnet10t", 32, picture_folder(tmp_path / "other", per_class=4))
    assert list(both["parts"]) == ["knn (frozen, 20 neighbours) on data", "knn (frozen, 20 neighbours) on other"]


@pytest.mark.parametrize(("field", "value"), [("size", 48), ("layer", 3), ("arch", "other"), ("random_weights", True)])
def test_a_file_of_another_encoder_is_not_written_over(tmp_path: Path, field: str, value: object) -> None:
    Store(tmp_path, {**ABOUT, field: value}).write({})
    with pytest.raises(ValueError, match=rf"holds scores for {field} {value!r}, these are for .*; give another --out"):
        Store(tmp_path, ABOUT)


def test_scores_of_an_earlier_revision_of_a_task_are_taken_anew(
    run: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(run, sets=camvid, out=tmp_path, tasks=[TASK], controls=False, track=no_bar)
    monkeypatch.setattr(Segmentation, "revision", TASK.revision + 1)
    scores = evaluate(run, sets=camvid, out=tmp_path, tasks=[TASK], controls=False, track=no_bar)
    assert re.search(r"is scored again: revision was \d+ and is \d+", capsys.readouterr().err)
    assert [part["settings"]["revision"] for part in scores["parts"].values()] == [TASK.revision]


def test_a_second_evaluation_into_a_folder_waits_its_turn(run: Path, tmp_path: Path) -> None:
    taken = pytest.raises(FileExistsError, match=r"another process evaluates into .*: wait")
    with alone(tmp_path, "evaluates into"), taken:
        evaluate(run, out=tmp_path, tasks=["knn"], controls=False)
    assert list(tmp_path.iterdir()) == []


ROW = {"metric": "top1", "value": 0.5, "target": "", "border": "", "representation": "backbone", "probe": ""}
ROW |= {"parameter": "", "floor": None, "at": None, "interval": None}
PART: dict[str, Any] = {"task": "knn", "variant": "", "protocol": "frozen", "data": "d", "control": "", "settings": {}}
PART |= {"counts": {}, "metrics": {"top1": True}, "probe_order": [], "rows": [ROW], "shown": {}, "seconds": 1.0}
SHOWN = {"predicted": "pictures/a.png", "given": {}, "legend": [[0, "road", "#804080"]]}
FILE: dict[str, Any] = {"schema": SCHEMA, **ABOUT, "parts": {"knn on d": PART}}


def changed(part: dict[str, Any] | None = None, row: dict[str, Any] | None = None, **of_file: Any) -> str:
    """Return the text of a file with these values instead of its own; without those that are ``...``."""

    def without(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not ...}

    rows = [without({**ROW, **(row or {})})]
    return json.dumps(
        without({**FILE, "parts": {"knn on d": without({**PART, "rows": rows, **(part or {})})}, **of_file})
    )


def test_a_folder_in_the_place_of_the_file_is_said_before_anything_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.mkdir()
    with pytest.raises(ValueError, match=rf"{path} is damaged \(it is a folder\): remove it, or give another --out"):
        read_scores(path)


def test_a_file_that_is_whole_is_read(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(changed())
    assert read_scores(tmp_path / "scores.json") == FILE
    (tmp_path / "scores.json").write_text(changed(part={"shown": {"a": SHOWN}}))
    assert read_scores(tmp_path / "scores.json")["parts"]["knn on d"]["shown"] == {"a": SHOWN}
    assert read_scores(tmp_path / "nothing") == {}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        changed().encode()[:-40],
        b"\x00\xff\xfe\x80",
        b"[]",
        b"3",
        b'"text"',
        b"null",
        b"[" * 100_000,
        changed(schema=0).encode(),
        changed(schema=...).encode(),
        changed(model=...).encode(),
        changed(weights=["w"]).encode(),
        changed(parts=...).encode(),
        changed(parts=[]).encode(),
        changed(parts={"knn on d": 3}).encode(),
        changed(part={"rows": ...}).encode(),
        changed(part={"rows": 3}).encode(),
        changed(part={"rows": [3]}).encode(),
        changed(part={"settings": None}).encode(),
        changed(part={"shown": []}).encode(),
        changed(part={"shown": {"a": "pictures/a.png"}}).encode(),
        changed(part={"shown": {"a": {**SHOWN, "predicted": 3}}}).encode(),
        changed(part={"shown": {"a": {**SHOWN, "given": {"image": 3}}}}).encode(),
        changed(part={"shown": {"a": {**SHOWN, "legend": [[0, "road"]]}}}).encode(),
        changed(part={"shown": {"a": {**SHOWN, "legend": [[0, "road", "url(x)"]]}}}).encode(),
        changed(part={"shown": {"a": {**SHOWN, "legend": [["0", "road", "#000000"]]}}}).encode(),
        changed(part={"task": 3}).encode(),
        changed(row={"value": ...}).encode(),
        changed(row={"value": None}).encode(),
        changed(row={"value": "0.5"}).encode(),
        changed(row={"value": float("nan")}).encode(),
        changed(row={"floor": float("inf")}).encode(),
        changed(row={"at": float("inf")}).encode(),
        changed(row={"at": "here"}).encode(),
        changed(row={"interval": [0.1]}).encode(),
        changed(row={"interval": [0.1, float("inf")]}).encode(),
        changed().replace("0.5", "1e999").encode(),
        changed().replace("0.5", "1" * 400).encode(),
        changed(row={"metric": "top5"}).encode(),
    ],
)
def test_a_damaged_file_is_refused_by_name_in_one_sentence(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"scores\.json is damaged \(.+\): remove it, or give another --out") as told:
        Store(tmp_path, ABOUT)
    assert "\n" not in str(told.value)
    assert path.read_bytes() == damaged, "whoever wrote it may want it"


def test_a_number_that_is_not_finite_never_reaches_a_file(tmp_path: Path) -> None:
    store = Store(tmp_path, ABOUT)
    with pytest.raises(NotFinite, match=r"its rows\[0\]\.value is nan"):
        store.put("knn on d", {**PART, "rows": [{**ROW, "value": float("nan")}]}, {})
    assert store.parts == {}
    assert not (tmp_path / "scores.json").exists()


def test_a_picture_elsewhere_is_not_removed_with_a_part(tmp_path: Path) -> None:
    """A scores.json may come from anyone."""
    (tmp_path / "mine.png").write_bytes(b"mine")
    out = tmp_path / "out"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "own.png").write_bytes(b"own")
    given = {"a": "pictures/../../mine.png", "b": "pictures/own.png"}
    shown = {"title": {"predicted": "../mine.png", "given": given, "legend": []}}
    (out / "scores.json").write_text(changed(part={"shown": shown}))
    store = Store(out, ABOUT)
    store.parts = {}
    store.write({})
    assert (tmp_path / "mine.png").exists()
    assert not (out / "pictures" / "own.png").exists()


def test_foreign_models_have_folders_of_their_own_for_data_size_and_random_weights() -> None:
    model = "timm:resnet18"
    asked = [(None, None, False), (None, None, True), ("a/flowers", None, True), ("a/flowers", 96, False)]
    folders = [results_folder(model, *arguments) for arguments in asked]
    assert len(set(folders)) == len(asked)
    assert folders[0] == Path("results/timm-resnet18")
    assert folders[2] == Path("results/timm-resnet18-flowers-random")
    assert results_folder("/weights/dino.pth", None, None, False) == Path("results/weights-dino.pth")
    assert results_folder(r"C:\weights\dino.pth@vit", None, None, False) == Path("results/C--weights-dino.pth@vit")


def test_seeds_of_one_configuration_have_one_digest() -> None:
    config = PretrainConfig(data="a/shapes")
    same = dataclasses.replace(config, seed=3, name="other", data="b/shapes", threads=2)
    assert config_digest(config) == config_digest(same)
    assert config_digest(config) != config_digest(dataclasses.replace(config, d=64))
    assert config_digest(config) != config_digest(dataclasses.replace(config, data="a/photographs"))
    assert config_digest(None) is None
