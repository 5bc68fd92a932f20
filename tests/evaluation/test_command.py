"""`equicoherence evaluate`: several encoders side by side, and what cannot be is said before the first is scored."""

from __future__ import annotations

import dataclasses
import gc
import json
import re
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from equicoherence.commands import evaluation_plan
from equicoherence.commands.evaluate import Arguments, by_name
from equicoherence.commands.evaluation_plan import (
    chosen_names,
    folders_of,
    images_of,
    merged_settings,
    parsed_settings,
    plan,
    prove_writable,
)
from equicoherence.evaluation import scoring as module
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.registry import all_tasks, make_tasks, reads_data
from equicoherence.evaluation.run import own_data
from equicoherence.evaluation.subject import Subject, subjects_of
from equicoherence.recipes import recipe
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, pretrain
from tests.small import picture_folder

QUICK = ["--settings", "segmentation.pixels=32,segmentation.steps=2,segmentation.batch=4,segmentation.lr=1e-3"]
ONLY = ["--tasks", "segmentation", "--no-controls", *QUICK]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of one step."""
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


def another(run: Path, place: Path, seed: int) -> Path:
    """Return a copy of a run of another seed, with other weights."""
    shutil.copytree(run, place, ignore=shutil.ignore_patterns("scores.json", "pictures"))
    config, weights = place / "config.yaml", place / "model.safetensors"
    config.write_text(config.read_text().replace("\nseed: 0", f"\nseed: {seed}"))
    save_file({name: tensor * (2 + seed) for name, tensor in load_file(weights).items()}, weights)
    return place


def main(arguments: list[str]) -> int:
    from equicoherence.cli import main as command

    return command(arguments)


def test_names_and_settings_that_there_are_not_are_quoted() -> None:
    by_default = [name for name, task in all_tasks().items() if task.by_default]
    on_data = [name for name in by_default if reads_data(all_tasks()[name])]
    on_sets = [name for name in by_default if name not in on_data]
    assert on_data == ["transformation", "knn", "linear", "pose", "retrieval"]
    assert chosen_names(None, sets=False) == on_data
    assert chosen_names(None, sets=True) == on_sets
    assert chosen_names(["depth", "knn"], sets=True) == ["knn", "depth"], "in the order of all tasks"
    assert chosen_names(["all"], sets=True) == list(all_tasks())
    assert chosen_names(["rot4", "layers"], sets=False) == ["layers", "rot4"], "those that are not scored by default"
    with pytest.raises(ValueError, match="task 'segmentaton' is unknown"):
        chosen_names(["segmentaton"], sets=True)
    with pytest.raises(ValueError, match="segmentation: give the folder of the data sets with --sets"):
        chosen_names(["knn", "segmentation"], sets=False)
    assert parsed_settings("depth.lr=1e-3, depth.steps=5") == {"depth": {"lr": "1e-3", "steps": "5"}}
    for wrong in ("steps=5", "depth.steps", "deph.steps=5"):
        with pytest.raises(ValueError, match=rf"setting '{wrong}' is not TASK\.SETTING=VALUE with a task of transfor"):
            parsed_settings(wrong)


def test_options_of_their_own_are_settings_too_and_never_twice() -> None:
    given = Arguments(("a",), images=30, repeats=2, borders="content", limit=7, settings="knn.k=5,depth.steps=3")
    assert merged_settings(given, ["transformation", "knn", "linear", "depth"]) == {
        "transformation": {"borders": ("content",), "train": 30, "test": 10, "repeats": 2},
        "knn": {"k": "5", "limit": 7},
        "linear": {"limit": 7},
        "depth": {"steps": "3"},
    }
    with pytest.raises(ValueError, match="limit of knn is given twice"):
        merged_settings(Arguments(("a",), limit=7, settings="knn.limit=5"), ["knn"])
    with pytest.raises(ValueError, match="limit: an option of knn and linear, which is not among the tasks depth"):
        merged_settings(Arguments(("a",), limit=7), ["depth"])


def test_tasks_on_images_need_images_that_are_the_same(encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(encoder)
    both = [run, "timm:resnet18"]
    assert images_of(both, "photographs", leave_out=True) == (both, "photographs")
    kept, data = images_of(both, None, leave_out=True)
    assert kept == [run]
    assert str(data).endswith("images")
    assert "timm:resnet18: tasks on images are left out" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"run has the images '.*/images' and timm:resnet18 has 'objects', .* --data"):
        images_of(both, None, leave_out=False)
    assert images_of(["timm:resnet18"], None, leave_out=False) == (["timm:resnet18"], "objects")
    assert "timm:resnet18: no --data is given, so these are rendered objects" in capsys.readouterr().err


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
    options: dict[str, Any] = {"arch": None, "random_weights": False, "size": None}
    refused: list[tuple[dict[str, Any], str]] = [
        ({"arch": "resnet50"}, "--arch is for weights files"),
        ({"random_weights": True}, "--random-weights is for timm's models"),
        ({"size": 96}, "--size is for models that are no runs"),
    ]
    for given, quoted in refused:
        with pytest.raises(ValueError, match=f"{quoted}, of which there is none"):
            subjects_of([run], **(options | given))


def test_two_models_never_share_a_folder(encoder: Path, tmp_path: Path) -> None:
    twin = shutil.copytree(encoder, tmp_path / "elsewhere" / "run")
    alike = [Subject(f"{place}/s0/run") for place in ("exp1", "exp2")]
    assert folders_of(alike, Path("out"), None) == [Path("out/exp1-s0-run"), Path("out/exp2-s0-run")]
    folders = folders_of([Subject(str(encoder)), Subject("timm:resnet18"), Subject(str(twin))], Path("out"), None)
    assert folders[0] == Path(f"out/{encoder.parent.name}-run")
    assert folders[1:] == [Path("out/timm-resnet18"), Path("out/elsewhere-run")]
    weights = str(tmp_path / "weights.pth")  # whose absolute path must not become the folder
    (own,) = folders_of([Subject(weights, size=96)], None, "flowers")
    assert own.parent == Path("results")
    assert own.name.endswith("weights.pth-flowers-96")
    for out in (None, tmp_path / "out"):
        with pytest.raises(ValueError, match="would share the folder"):
            folders_of([Subject(str(encoder)), Subject(str(encoder))], out, None)


def test_a_layer_is_of_all_models_and_its_scores_have_folders_of_their_own(
    encoder: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subjects = subjects_of([str(encoder), "timm:resnet18"], None, random_weights=False, size=None, layer=-2)
    assert [each.options["layer"] for each in subjects] == [-2, -2]
    assert folders_of(subjects, Path("out"), None) == [Path("out/run-layer-2"), Path("out/timm-resnet18-layer-2")]
    assert folders_of(subjects[:1], None, None) == [encoder / "layer-2"]
    assert folders_of(subjects[1:], None, None) == [Path("results/timm-resnet18-layer-2")]
    other, out = another(encoder, tmp_path / "other", 1), tmp_path / "out"
    given = ["evaluate", str(encoder), str(other), "--sets", str(camvid), "--out", str(out), *ONLY]
    assert main(given) == 0
    assert main([*given, "--layer", "1"]) == 0
    folders = [str(folder) for folder in sorted(out.glob("*/"))]
    assert [Path(folder).name for folder in folders] == ["other", "other-layer1", "run", "run-layer1"]
    assert main(["report", *folders, "--out", str(out)]) == 0
    header = (out / "comparison.md").read_text().split("\n| --- ")[0].split("\n")[-1]
    assert re.search(r"\| \S+ \(2\Wseeds\) \| \S+, layer 1 \(2\Wseeds\) \|", header)
    capsys.readouterr()
    assert main([*given, "--layer", "5"]) == 2
    assert "layer 5 does not exist in resnet18, which has 5: give 0 to 4, or -1 to -5" in capsys.readouterr().err


def test_random_weights_are_planned_once_for_models_alike_and_all_models_loaded_first(
    encoder: Path, camvid: Path, tmp_path: Path
) -> None:
    twin, other = another(encoder, tmp_path / "twin", 0), another(encoder, tmp_path / "other", 1)
    models = tuple(map(str, (encoder, twin, other)))
    planned = plan(Arguments(models, sets=str(camvid), out=tmp_path / "out"), make_tasks(["segmentation"]), True)
    assert [each.has_floor for each in planned] == [True, False, True]
    assert [each.folder.name for each in planned] == ["run", "twin", "other"]
    assert [[job.name for job in each.jobs] for each in planned] == [["segmentation (frozen, linear) on camvid"]] * 3
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    broken = Arguments((str(encoder), f"{tmp_path / 'w.pth'}@resnet18"), sets=str(camvid), out=tmp_path / "none")
    with pytest.raises(ValueError, match="does not fit the architecture"):
        plan(broken, make_tasks(["segmentation"]), True)
    assert not (tmp_path / "none").exists()


def test_models_that_were_loaded_to_be_checked_wait_while_there_is_room(
    encoder: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tuple(map(str, (encoder, another(encoder, tmp_path / "other", 1))))
    given, tasks = Arguments(models, sets=str(camvid), out=tmp_path / "out"), make_tasks(["segmentation"])
    planned = plan(given, tasks, True)
    waiting = [each.loaded for each in planned]
    assert [model.name for model in waiting if model is not None] == list(models)
    assert [each.load() for each in planned] == waiting  # the same objects, not equal ones
    assert [each.loaded for each in planned] == [None, None]  # nothing holds what is scored already
    monkeypatch.setattr(evaluation_plan, "ROOM", 0)
    planned = plan(given, tasks, True)
    assert [each.loaded is None for each in planned] == [False, True]  # the first is scored now
    assert planned[1].load().name == models[1]
    monkeypatch.setattr(evaluation_plan, "ROOM", 2**40)
    assert all(each.loaded for each in plan(given, tasks, True))
    monkeypatch.setattr(evaluation_plan, "SHARE", 2**62)  # of free memory, less than any model
    assert [each.loaded is None for each in plan(given, tasks, True)] == [False, True]


def test_a_model_that_does_not_wait_takes_no_room_from_the_others(
    encoder: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = str(encoder), "timm:resnet18"
    models = (small, large, str(another(encoder, tmp_path / "other", 1)))
    given = Arguments(models, sets=str(camvid), out=tmp_path / "out", random_weights=True)
    room = 3 * load_model(small).nbytes
    assert room < load_model(large, random_weights=True).nbytes
    monkeypatch.setattr(evaluation_plan, "ROOM", room)
    planned = plan(given, make_tasks(["segmentation"]), True)
    assert [each.loaded is None for each in planned] == [False, True, False]


def test_a_model_that_is_scored_is_let_go_before_the_next_is_loaded(
    encoder: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[weakref.ref[FrozenModel]] = []
    load = evaluation_plan.Planned.load

    def noting(planned: evaluation_plan.Planned) -> FrozenModel:
        gc.collect()
        assert [model() for model in scored] == [None] * len(scored)
        model = load(planned)
        scored.append(weakref.ref(model))
        return model

    monkeypatch.setattr(evaluation_plan, "ROOM", 0)
    monkeypatch.setattr(evaluation_plan.Planned, "load", noting)
    models = [str(encoder), str(another(encoder, tmp_path / "other", 1))]
    assert main(["evaluate", *models, "--sets", str(camvid), "--out", str(tmp_path / "out"), *ONLY]) == 0
    assert len(scored) == 2


@pytest.mark.parametrize("source", ["local-dir:", ""])
def test_a_model_that_cannot_be_loaded_is_refused_before_images_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.png").write_bytes(b"")  # has no classes, which would be said first
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "config.json").write_text('{"architecture": "test_resnet"}')
    (folder / "model.safetensors").write_bytes(b"junk")
    for name, reason in (("damaged", "the weights in damaged cannot be read"), ("nosuch", "nosuch")):
        assert main(["evaluate", f"{source}{name}", "--data", "data", "--tasks", "knn"]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert reason in said
        assert not (tmp_path / "results").exists()


def test_a_folder_that_cannot_be_written_to_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match="scores cannot be written to"):
        prove_writable(tmp_path / "file")
    prove_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_configurations_of_one_name_are_called_by_what_tells_their_folders_apart() -> None:
    scores = [{"name": "a", "arch": "vit", "config": config} for config in ("first", "second")]
    found = by_name(scores, [Path("/runs/first/run"), Path("/runs/second/run")])
    assert found == {"first": [scores[0]], "second": [scores[1]]}


def test_the_command_scores_two_encoders_and_writes_the_page(
    encoder: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = another(encoder, tmp_path / "other", 1)
    assert main(["evaluate", str(encoder), str(other), "--sets", str(camvid), *ONLY]) == 0
    assert "comparison.html" in capsys.readouterr().out
    out = tmp_path / "results" / "comparison"
    assert {path.parent.name for path in out.glob("*/scores.json")} == {"run", "other"}
    assert "(2 seeds)" in (out / "comparison.md").read_text()


def test_random_weights_are_scored_once_for_models_alike(encoder: Path, camvid: Path, tmp_path: Path) -> None:
    twin, other = another(encoder, tmp_path / "twin", 0), another(encoder, tmp_path / "other", 1)
    given = ["--sets", str(camvid), "--tasks", "segmentation", "--out", str(tmp_path / "out"), *QUICK]
    assert main(["evaluate", str(encoder), str(twin), str(other), *given]) == 0
    names = ("run", "twin", "other")
    counts = [len(json.loads((tmp_path / "out" / name / "scores.json").read_text())["parts"]) for name in names]
    assert counts == [2, 1, 2]


def test_a_model_that_fails_takes_no_scores_of_others_with_it(
    encoder: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, out, real = another(encoder, tmp_path / "other", 1), tmp_path / "out", module.score_job

    def failing(model: FrozenModel, *given: Any) -> dict[str, Any]:
        if model.name == str(other):
            raise ValueError("the training diverged")
        return real(model, *given)

    monkeypatch.setattr(module, "score_job", failing)
    main(["evaluate", str(encoder), str(other), "--sets", str(camvid), "--out", str(out), *ONLY])
    assert "the training diverged" in capsys.readouterr().err
    assert "segmentation" in (out / "comparison.md").read_text()


def test_a_run_is_compared_with_a_weights_file_and_folders_are_joined_later(
    encoder: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tiny = tmp_path / "out", "test_resnet"
    torch.save(timm.create_model(tiny).state_dict(), tmp_path / "w.pth")
    models = [str(encoder), f"{tmp_path / 'w.pth'}@{tiny}"]
    assert main(["evaluate", *models, "--sets", str(camvid), "--out", str(out), *ONLY]) == 0
    told = capsys.readouterr().err
    line = r"\[1/1\] .*run, segmentation \(frozen, linear\) on camvid: miou 0\.\d+ \(constant 0\.\d+\), \d+ s\n"
    assert re.search(line, told)
    text = (out / "comparison.md").read_text()
    assert main(["report", str(out / "run"), str(out / "w.pth"), "--out", str(out / "again")]) == 0
    assert (out / "again" / "comparison.md").read_text() == text
    run = Path(shutil.copytree(encoder, tmp_path / "own"))
    assert main(["evaluate", str(run), "--sets", str(camvid), *ONLY]) == 0  # into the run itself
    assert main(["report", str(run), str(out / "w.pth")]) == 0
    assert f"w ({tiny})" in (run / "comparison" / "comparison.md").read_text()
    assert main(["report", str(run)]) == 0  # both pages of a run
    assert (run / "report.html").is_file()
    assert f"w ({tiny})" not in (run / "comparison" / "comparison.md").read_text()
    assert main(["report", str(out / "w.pth"), "--out", str(tmp_path / "page.html")]) == 2
    assert "page.html must be a folder" in capsys.readouterr().err


def test_what_cannot_be_is_said_before_the_first_model_is_scored(
    encoder: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = str(encoder), tmp_path / "out"
    for wrong, quoted in (
        (["resnet50", "--sets", str(camvid)], "model 'resnet50': is it timm:resnet50? MODEL is a run"),
        ([f"{run[:-1]}x", "--sets", str(camvid)], f"is it '{run}'?"),
        ([run, "no/such/model", "--sets", str(camvid)], "'no/such/model' is none of what MODEL is: a run directory"),
        ([run, "timm:resnet1888", "--sets", str(camvid)], "timm has no model 'resnet1888'; near it: resnet18"),
        ([run, str(camvid), "--sets", str(camvid)], "it has no config.yaml"),
        ([run, run, "--sets", str(camvid)], "would share the folder"),
        ([run, "--tasks", "segmentation"], "with --sets"),
        ([run, "--tasks", "knn", "--fine-tune"], "knn has no fine-tuning protocol"),
        ([run, "--tasks", "depth", "--sets", str(camvid), *QUICK], "settings of segmentation, which is not among"),
        ([run, "--tasks", "knn", "--bad-image-tolerance", "2"], "bad_image_tolerance must be a share"),
    ):
        assert main(["evaluate", *wrong, "--out", str(out)]) == 2
        assert quoted in capsys.readouterr().err
    out.rmdir() if out.exists() else None
    out.write_text("a file")
    assert main(["evaluate", run, "--tasks", "segmentation", "--sets", str(camvid), "--out", str(out), *QUICK]) == 2
    assert "scores cannot be written to" in capsys.readouterr().err


def test_a_command_that_is_interrupted_goes_on_with_the_same_words(
    encoder: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["evaluate", str(encoder), "--sets", str(camvid), "--out", str(tmp_path), "--tasks", "segmentation", *QUICK]
    real: Callable[..., dict[str, Any]] = module.score_job

    def stopped(model: FrozenModel, job: Any, control: str, *given: Any) -> dict[str, Any]:
        if control:
            raise KeyboardInterrupt
        return real(model, job, control, *given)

    with monkeypatch.context() as patch:
        patch.setattr(module, "score_job", stopped)
        assert main(words) == 130
    assert "1 of 2 scores of" in capsys.readouterr().err
    assert main(words) == 0
    assert re.search(r"\[1/2\] .*, kept\n\[2/2\] .* s\n", capsys.readouterr().err)


def test_a_run_whose_images_are_gone_says_whose_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(recipe("vicreg-tiny"), data="photos/pets")
    monkeypatch.setattr("equicoherence.evaluation.run.load_config", lambda path: config)
    with pytest.raises(FileNotFoundError, match=r"^run was trained on 'photos/pets', which is not here: say with"):
        own_data("run")
