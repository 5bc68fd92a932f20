"""Downstream evaluation: tasks find their sets, done parts are kept, and what cannot be is said before any work."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from equicoherence.cli import main
from equicoherence.commands.evaluation_plan import (
    check_models,
    chosen_tasks,
    folders_of,
    models_on_images,
    parsed_settings,
    prove_writable,
)
from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.evaluation import registry
from equicoherence.evaluation import run as module
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.registry import TASKS, make_tasks
from equicoherence.evaluation.run import config_digest, evaluate_downstream, plan_jobs
from equicoherence.evaluation.subject import Subject, subjects_of
from equicoherence.evaluation.task import no_bar
from equicoherence.files import alone
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, pretrain
from tests.downstream.colour_regions import ColourRegions
from tests.small import picture_folder

TASK = Segmentation(pixels=32, steps=4, batch=4)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """CamVid's layout, of two classes."""
    for folder, count, seed in (("train", 6, 0), ("test", 3, 1)):
        source = ColourRegions(count, seed)
        for index in range(count):
            for kind, pixels in (("", source.image(index)), ("annot", source.mask(index))):
                path = tmp_path / "sets" / "camvid" / f"{folder}{kind}" / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return tmp_path / "sets"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step."""
    folder = tmp_path_factory.mktemp("run")
    config = PretrainConfig(
        encoder=EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}),
        d=16,
        coherence=None,
        views=ViewsConfig(size=32, source=32, path="none"),
        optim=OptimConfig(epochs=1, batch_size=4),
        data=str(picture_folder(folder / "images", 4)),
        max_steps=1,
        threads=1,
    )
    return pretrain(config, folder / "run")


def test_scores_of_the_model_and_of_random_weights_are_written_with_pictures(encoder: Path, sets: Path) -> None:
    out = sets.parent / "out"
    results = evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)
    assert results == json.loads((out / "downstream.json").read_text())
    assert list(results["parts"]) == [
        "segmentation (frozen, linear) on camvid",
        "random segmentation (frozen, linear) on camvid",
    ]
    part = results["parts"]["segmentation (frozen, linear) on camvid"]
    assert part["counts"] == {"train": 6, "val": 3}
    assert {row["metric"] for row in part["rows"]} == set(TASK.metrics)
    assert all(np.array(Image.open(out / file)).ndim == 3 for file in part["pictures"].values())
    assert len(part["pictures"]) > 0
    assert not (out / "downstream.partial.json").exists()


def test_what_is_scored_is_kept_and_what_depends_on_other_settings_is_scored_anew(
    encoder: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, scored = sets.parent / "out", []
    monkeypatch.setattr(module, "score_job", lambda *given: scored.append(given[2]) or real(*given))
    first = evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    assert evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar) == first
    assert scored == [""]
    evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)
    assert scored == ["", "random"]
    other = evaluate_downstream(encoder, sets, out, [Segmentation(pixels=32, steps=5, batch=4)], track=no_bar)
    assert scored == ["", "random", "", "random"]
    assert len(other["parts"]) == 2


def test_scores_of_the_same_folder_with_other_files_are_taken_anew(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    for folder in ("train", "trainannot"):
        (sets / "camvid" / folder / "5.png").unlink()
    results = evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    assert re.search("is scored anew: files was .*, splits was {'train': '6 of the folder", capsys.readouterr().err)
    (part,) = results["parts"].values()
    assert part["counts"] == {"train": 5, "val": 3}
    assert part["settings"]["splits"]["train"].startswith("5 of the folder, ")


def test_scores_of_files_that_changed_under_the_same_names_are_taken_anew(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    mask = sets / "camvid" / "testannot" / "1.png"
    Image.open(mask).save(mask, compress_level=0)
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    assert "is scored anew: files was" in capsys.readouterr().err
    os.utime(mask, (2e9, 2e9))  # of the same size, changed later
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    assert "is scored anew: newest was" in capsys.readouterr().err


def test_scores_are_not_written_into_a_data_set(encoder: Path, sets: Path) -> None:
    with pytest.raises(
        ValueError, match=r"camvid/results' lies in the data set '.*camvid', of which scores are no part"
    ):
        evaluate_downstream(encoder, sets, sets / "camvid" / "results", [TASK], track=no_bar)
    assert not (sets / "camvid" / "results").exists()


def test_a_second_evaluation_into_a_folder_waits_its_turn(encoder: Path, sets: Path) -> None:
    out = sets.parent / "out"
    out.mkdir()
    taken = pytest.raises(FileExistsError, match=r"another process evaluates into .*out: wait")
    with alone(out, "evaluates into"), taken:
        evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)


def test_scores_of_an_encoder_with_another_normalisation_are_dropped(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = shutil.copytree(encoder, sets.parent / "run"), sets.parent / "out"
    first = evaluate_downstream(run, sets, out, [TASK], controls=False, track=no_bar)
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("  mean: null\n", "  mean: [0.1, 0.2, 0.3]\n"))
    second = evaluate_downstream(run, sets, out, [TASK], controls=False, track=no_bar)
    assert "are of other arguments or normalisation of the encoder and are dropped" in capsys.readouterr().err
    assert first["weights"] == second["weights"]
    other = another(encoder, sets.parent / "other", 1)
    with pytest.raises(ValueError, match=r"holds scores of '.*run', these are of '.*other'; give another --out"):
        evaluate_downstream(other, sets, out, [TASK], controls=False, track=no_bar)


def test_a_data_set_that_moved_keeps_its_scores(encoder: Path, sets: Path) -> None:
    out = sets.parent / "out"
    first = evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    moved = sets.rename(sets.parent / "elsewhere")
    assert evaluate_downstream(encoder, moved, out, [TASK], controls=False, track=no_bar)["parts"] == first["parts"]


def test_an_interruption_says_what_is_kept(
    encoder: Path, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*given: Any) -> dict[str, Any]:
        if given[2] == "random":
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(module, "score_job", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate_downstream(encoder, sets, sets.parent / "out", [TASK], track=no_bar)
    assert "1 of 2 scores of" in capsys.readouterr().err


def test_a_task_whose_packages_are_not_installed_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    needed = r"detection needs torchmetrics and faster_coco_eval: pip install 'equicoherence\[coco\]'"
    with pytest.raises(ImportError, match=needed):
        make_tasks(["segmentation", "detection"])
    assert [task.name for task in make_tasks(["segmentation", "detection"], every=False)] == ["segmentation"]
    assert "detection is left out: it needs torchmetrics" in capsys.readouterr().err


def test_another_variant_of_the_same_samples_is_another_split(encoder: Path, sets: Path) -> None:
    (job,) = plan_jobs([TASK], sets)
    before = job.settings()
    job.train.variant = "SegmentationClassAug"
    after = job.settings()
    assert before["splits"]["val"] == after["splits"]["val"]
    assert before["splits"]["train"] != after["splits"]["train"]
    assert after["splits"]["train"].startswith("6 of SegmentationClassAug, ")


real = module.score_job


def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    encoder: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, scored = sets.parent / "out", []

    def stopped(*given: object) -> dict:
        if given[2] == "random":
            raise KeyboardInterrupt
        scored.append(given[2])
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_job", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)
    assert not (out / "downstream.json").exists()
    monkeypatch.setattr(module, "score_job", lambda *given: scored.append(given[2]) or real(*given))
    results = evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)
    assert scored == ["", "random"]
    assert len(results["parts"]) == 2


def test_a_set_that_is_missing_or_damaged_is_said_before_anything_is_scored(encoder: Path, sets: Path) -> None:
    out = sets.parent / "out"
    with pytest.raises(ValueError, match=r"task depth: no data set for depth in .* looked for:\n  (.|\n)*nyuv2"):
        evaluate_downstream(encoder, sets, out, [TASK, Depth()], track=no_bar)
    with pytest.raises(FileNotFoundError, match="nothing at"):
        evaluate_downstream(encoder, sets / "nowhere", out, [TASK], track=no_bar)
    (sets / "camvid" / "testannot" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"camvid \(val\) in .* 1 files are missing: .*1.png.* Get it from"):
        evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)
    assert not out.exists()


def test_tasks_without_a_set_are_left_out_where_all_are_asked_for(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [TASK, Depth()]
    results = evaluate_downstream(encoder, sets, sets.parent / "out", tasks, every=False, controls=False, track=no_bar)
    assert [part["task"] for part in results["parts"].values()] == ["segmentation"]
    assert "depth is left out" in capsys.readouterr().err


def test_scores_of_other_weights_are_dropped_and_a_broken_file_is_refused(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    file = out / "downstream.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "weights": "others"}))
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    assert "are of other weights and are dropped" in capsys.readouterr().err
    file.write_text("{")
    with pytest.raises(ValueError, match=r"downstream.json cannot be read .* remove it"):
        evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)


def test_what_an_interrupted_evaluation_has_done_of_other_tasks_is_kept(
    encoder: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tuned = sets.parent / "out", Segmentation(encoder="fine-tuned", pixels=32, tuned_steps=1, tuned_batch=2)

    def stopped(*given: object) -> dict:
        if given[1].task is tuned:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_job", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate_downstream(encoder, sets, out, [TASK, tuned], controls=False, track=no_bar)
    monkeypatch.setattr(module, "score_job", real)
    results = evaluate_downstream(encoder, sets, out, [tuned], controls=False, track=no_bar)
    assert [part["protocol"] for part in results["parts"].values()] == [TASK.protocol, tuned.protocol]
    files = [out / file for part in results["parts"].values() for file in part["pictures"].values()]
    assert len(set(files)) == len(files), "fine-tuned pictures have names of their own"
    assert set(files) == set((out / "pictures").iterdir())


def test_an_interrupted_try_of_other_settings_leaves_finished_scores_as_they_are(
    encoder: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = sets.parent / "out"
    first = evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)

    def stopped(*given: object) -> dict:
        if given[2] == "random":
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_job", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate_downstream(encoder, sets, out, [dataclasses.replace(TASK, steps=5)], track=no_bar)
    monkeypatch.setattr(module, "score_job", real)
    assert evaluate_downstream(encoder, sets, out, [TASK], track=no_bar) == first
    files = {out / file for part in first["parts"].values() for file in part["pictures"].values()}
    assert files == set((out / "pictures").iterdir())


def test_a_part_of_other_settings_is_replaced_with_its_pictures_and_its_random_weights(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"
    evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)
    before = set((out / "pictures").iterdir())
    other = dataclasses.replace(TASK, steps=5)
    results = evaluate_downstream(encoder, sets, out, [other], controls=False, track=no_bar)
    said = capsys.readouterr().err
    assert "segmentation (frozen, linear) on camvid is scored anew: steps was 4 and is 5" in said
    assert "scores of random segmentation (frozen, linear) on camvid are dropped" in said
    (part,) = results["parts"].values()
    assert {out / file for file in part["pictures"].values()} == set((out / "pictures").iterdir())
    assert not before & set((out / "pictures").iterdir())
    assert part["versions"]["torch"]
    assert part["date"]


def test_scores_of_an_earlier_revision_are_dropped(
    encoder: Path, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"
    evaluate_downstream(encoder, sets, out, [TASK], controls=False, track=no_bar)
    monkeypatch.setattr(module, "REVISION", module.REVISION + 1)
    results = evaluate_downstream(encoder, sets, out, [dataclasses.replace(TASK, seed=1)], controls=False, track=no_bar)
    assert "are of an earlier revision and are dropped" in capsys.readouterr().err
    assert [part["settings"]["revision"] for part in results["parts"].values()] == [module.REVISION]


@pytest.mark.parametrize(("field", "value"), [("size", 48), ("arch", "other"), ("random_weights", True)])
def test_a_file_of_another_encoder_is_not_written_over(encoder: Path, sets: Path, field: str, value: object) -> None:
    out = sets.parent / "out"
    out.mkdir()
    (out / "downstream.json").write_text(json.dumps({field: value, "parts": {}}))
    with pytest.raises(ValueError, match=rf"holds scores for {field} {value!r}, these are for .*; give another --out"):
        evaluate_downstream(encoder, sets, out, [TASK], track=no_bar)


def test_seeds_of_one_configuration_have_one_digest() -> None:
    config = PretrainConfig(data="a/shapes")
    same = dataclasses.replace(config, seed=3, name="other", data="b/shapes", threads=2)
    assert config_digest(config) == config_digest(same)
    assert config_digest(config) != config_digest(dataclasses.replace(config, d=64))
    assert config_digest(config) != config_digest(dataclasses.replace(config, data="a/photographs"))
    assert config_digest(None) is None


QUICK = ["--settings", "segmentation.pixels=32,segmentation.steps=2,segmentation.batch=4,segmentation.lr=1e-3"]
ONLY = ["--tasks", "segmentation", "--no-controls", *QUICK]


def another(run: Path, place: Path, seed: int) -> Path:
    """Return a copy of a run of another seed, with other weights."""
    shutil.copytree(run, place)
    config, weights = place / "config.yaml", place / "model.safetensors"
    config.write_text(config.read_text().replace("\nseed: 0", f"\nseed: {seed}"))
    save_file({name: tensor * (2 + seed) for name, tensor in load_file(weights).items()}, weights)
    return place


def test_the_command_scores_two_encoders_and_writes_the_page(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sets.parent)
    other = another(encoder, sets.parent / "other", 1)
    assert main(["evaluate", str(encoder), str(other), "--sets", str(sets), *ONLY]) == 0
    assert "comparison.html" in capsys.readouterr().out
    out = sets.parent / "results" / "comparison"
    assert {path.parent.name for path in out.glob("*/downstream.json")} == {"run", "other"}
    assert "(2 seeds)" in (out / "comparison.md").read_text()


def test_a_model_that_fails_takes_no_scores_of_others_with_it(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, out = another(encoder, sets.parent / "other", 1), sets.parent / "out"

    def failing(build: Callable[[], FrozenModel], *given: Any) -> dict[str, Any]:
        if build().name == str(other):
            raise ValueError("the training diverged")
        return real(build, *given)

    monkeypatch.setattr(module, "score_job", failing)
    assert main(["evaluate", str(encoder), str(other), "--sets", str(sets), "--out", str(out), *ONLY]) == 1
    assert "the training diverged" in capsys.readouterr().err
    assert "segmentation" in (out / "comparison.md").read_text()


def test_two_models_never_share_a_folder(encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out in ([], ["--out", str(sets.parent / "out")]):
        assert main(["evaluate", str(encoder), str(encoder), "--sets", str(sets), *out]) == 2
        assert "would share the folder" in capsys.readouterr().err
    twin = shutil.copytree(encoder, sets.parent / "elsewhere" / "run")
    alike = [Subject(f"{place}/s0/run") for place in ("exp1", "exp2")]
    assert folders_of(alike, Path("out"), None) == [Path("out/exp1-s0-run"), Path("out/exp2-s0-run")]
    folders = folders_of([Subject(str(encoder)), Subject("timm:resnet18"), Subject(str(twin))], Path("out"), None)
    assert folders[0] == Path(f"out/{encoder.parent.name}-run")
    assert folders[1:] == [Path("out/timm-resnet18"), Path("out/elsewhere-run")]
    weights = str(sets.parent / "weights.pth")  # whose absolute path must not become the folder
    (own,) = folders_of([Subject(weights, size=96)], None, "flowers")
    assert own.parent == Path("results")
    assert own.name.endswith("weights.pth-flowers-96")


def test_each_model_gets_the_options_that_apply_to_it(encoder: Path, tmp_path: Path) -> None:
    run, first, second = str(encoder), tmp_path / "first.pth", tmp_path / "second.pth"
    for file in (first, second):
        torch.save({"weight": torch.zeros(1)}, file)
    models = [run, f"{first}@resnet50", str(second), "timm:resnet18"]
    assert subjects_of(models, "vit_tiny_patch16_224", random_weights=True, size=96) == [
        Subject(run),
        Subject(str(first), arch="resnet50", size=96),
        Subject(str(second), arch="vit_tiny_patch16_224", size=96),
        Subject("timm:resnet18", random_weights=True, size=96),
    ]
    for given, quoted in (
        ({"arch": "resnet50"}, "--arch is for weights files"),
        ({"random_weights": True}, "--random-weights is for timm's models"),
        ({"size": 96}, "--size is for models that are no runs"),
    ):
        with pytest.raises(ValueError, match=f"{quoted}, of which there is none"):
            subjects_of([run], **({"arch": None, "random_weights": False, "size": None} | given))  # type: ignore[arg-type]


def test_a_run_is_compared_with_a_weights_file_and_folders_are_joined_later(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tiny = sets.parent / "out", "test_resnet"
    torch.save(timm.create_model(tiny).state_dict(), sets.parent / "w.pth")
    models = [str(encoder), f"{sets.parent / 'w.pth'}@{tiny}"]
    assert main(["evaluate", *models, "--sets", str(sets), "--out", str(out), *ONLY]) == 0
    told = capsys.readouterr().err
    line = r"\[1/1\] .*run, segmentation \(frozen, linear\) on camvid: miou 0\.\d+ \(constant 0\.\d+\), \d+ s\n"
    assert re.search(line, told)
    text = (out / "comparison.md").read_text()
    assert main(["report", str(out / "run"), str(out / "w.pth"), "--out", str(out / "again")]) == 0
    assert (out / "again" / "comparison.md").read_text() == text
    run = shutil.copytree(encoder, sets.parent / "own")
    assert main(["evaluate", str(run), "--sets", str(sets), *ONLY]) == 0  # into the run itself
    assert main(["report", str(run), str(out / "w.pth")]) == 0
    assert "w.pth" in (run / "comparison" / "comparison.md").read_text()
    assert main(["report", str(run)]) == 0  # both pages of a run
    assert (run / "report.html").is_file()
    assert "w.pth" not in (run / "comparison" / "comparison.md").read_text()
    assert main(["report", str(out / "w.pth"), "--out", str(sets.parent / "page.html")]) == 2
    assert "page.html is to be a folder" in capsys.readouterr().err
    broken = [str(encoder), f"{sets.parent / 'w.pth'}@resnet18"]
    assert main(["evaluate", *broken, "--sets", str(sets), "--out", str(sets.parent / "none"), *ONLY]) == 2
    assert "does not fit the architecture" in capsys.readouterr().err
    assert not (sets.parent / "none").exists()


def test_random_weights_are_scored_once_for_models_alike(encoder: Path, sets: Path) -> None:
    twin, other = another(encoder, sets.parent / "twin", 0), another(encoder, sets.parent / "other", 1)
    models, out = [str(encoder), str(twin), str(other)], sets.parent / "out"
    given = ["--sets", str(sets), "--tasks", "segmentation", "--out", str(out), *QUICK]
    assert main(["evaluate", *models, *given]) == 0
    written = [json.loads((out / name / "downstream.json").read_text()) for name in ("run", "twin", "other")]
    counts = [len(each["parts"]) for each in written]
    assert counts == [2, 1, 2]


def test_what_cannot_be_is_said_before_the_first_model_is_scored(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = str(encoder), sets.parent / "out"
    for wrong, quoted in (
        ([run, "no/such/model", "--sets", str(sets)], "'no/such/model' is neither a run directory"),
        ([run, "timm:resnet1888", "--sets", str(sets)], "timm has no model 'resnet1888'"),
        ([run, str(sets), "--sets", str(sets)], "it has no config.yaml"),
        ([run, "--tasks", "segmentation"], "give with --sets"),
        ([run, "--tasks", "knn", "--fine-tune"], "fine-tuning is asked for, but no task on data sets"),
        ([run, "--tasks", "depth", "--sets", str(sets), *QUICK], "settings of segmentation, which is not among"),
    ):
        assert main(["evaluate", *wrong, "--out", str(out)]) == 2
        assert quoted in capsys.readouterr().err
    assert not out.exists()
    out.write_text("a file")
    assert main(["evaluate", run, "--tasks", "segmentation", "--sets", str(sets), "--out", str(out), *QUICK]) == 2
    assert "scores cannot be written to" in capsys.readouterr().err
    prove_writable(sets.parent / "new" / "folder")
    assert list((sets.parent / "new" / "folder").iterdir()) == []


def test_tasks_on_images_need_images_that_are_the_same(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(encoder)
    assert models_on_images([run, "timm:resnet18"], "photographs", leave_out=True) == [run, "timm:resnet18"]
    assert models_on_images([run, "timm:resnet18"], None, leave_out=True) == [run]
    assert "timm:resnet18: tasks on images are left out" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"run has the images '.*/images' and timm:resnet18 'objects', .* --data"):
        models_on_images([run, "timm:resnet18"], None, leave_out=False)


def test_names_and_settings_that_there_are_not_are_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    check_models(["timm:resnet18", "timm:vit_tiny_patch16_224.augreg_in21k", "timm:hf-hub:someone/something"])
    assert chosen_tasks(None, sets=False) == (None, [])
    assert chosen_tasks(None, sets=True) == ([], list(TASKS))
    assert chosen_tasks(["knn", "depth"], sets=True) == (["knn"], ["depth"])
    assert chosen_tasks(["all"], sets=True) == (None, list(TASKS))
    with pytest.raises(ValueError, match="task 'segmentaton' is unknown"):
        chosen_tasks(["segmentaton"], sets=True)
    assert parsed_settings("depth.lr=1e-3,depth.steps=5") == {"depth": {"lr": "1e-3", "steps": "5"}}
    with pytest.raises(ValueError, match=r"setting 'steps=5' is not TASK.SETTING=VALUE"):
        parsed_settings("steps=5")
    with pytest.raises(ValueError, match="segmentation has no setting stps"):
        make_tasks(["segmentation"], settings={"segmentation": {"stps": 5}})
    with pytest.raises(ValueError, match="localisation has no fine-tuning protocol"):
        make_tasks(["localisation"], fine_tuned=True)
    assert make_tasks(["depth"], fine_tuned=True) == [Depth(encoder="fine-tuned")]
    assert make_tasks(["localisation", "depth"], fine_tuned=True, every=False) == [Depth(encoder="fine-tuned")]
    assert "localisation is left out" in capsys.readouterr().err


def test_values_are_those_of_their_settings() -> None:
    given = {"lr": "1e-3", "steps": "5", "train": 0, "tuned_lr": 1, "encoder": "fine-tuned"}
    (task,) = make_tasks(["depth"], settings={"depth": given})
    assert task == Depth(lr=0.001, steps=5, train=0, tuned_lr=1.0, encoder="fine-tuned")
    for task_name, field, value, why in (
        ("depth", "steps", "0", r"depth: steps must be at least 1, got 0"),
        ("keypoints", "hidden", -3, r"keypoints: hidden must be at least 1, got -3"),
        ("depth", "train", "-1", r"depth: train must be at least 0, got -1"),
        ("depth", "steps", "5.5", r"depth\.steps is '5.5', but must be a whole number"),
        ("depth", "steps", True, r"depth: steps must be a whole number, got True"),
        ("depth", "lr", "fast", r"depth\.lr is 'fast', but must be a number"),
        ("depth", "lr", "inf", r"depth: lr must be finite and above 0, got inf"),
        ("depth", "encoder", "finetuned", r"encoder must be 'frozen' or 'fine-tuned', got 'finetuned'"),
        ("video", "setting", "mae", r"setting must be 'dino' or 'cropmae', got 'mae'"),
    ):
        with pytest.raises(ValueError, match=why):
            make_tasks([task_name], settings={task_name: {field: value}})
    with pytest.raises(ValueError, match=r"depth\.encoder is 'frozen', but fine-tuning is asked for"):
        make_tasks(["depth"], fine_tuned=True, settings={"depth": {"encoder": "frozen"}})
