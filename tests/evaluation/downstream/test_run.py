"""Downstream evaluation: tasks find their sets, done parts are kept, and what cannot be is said before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.cli import main
from equicoherence.commands.evaluate import chosen_tasks, parsed_settings
from equicoherence.evaluation.downstream import run as module
from equicoherence.evaluation.downstream.depth.task import Depth
from equicoherence.evaluation.downstream.registry import TASKS, make_tasks
from equicoherence.evaluation.downstream.run import evaluate_downstream
from equicoherence.evaluation.downstream.segmentation.task import Segmentation
from equicoherence.evaluation.downstream.task import no_bar
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, pretrain
from tests.small import picture_folder

from .colour_regions import ColourRegions

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


def test_the_command_scores_two_encoders_and_writes_the_page(
    encoder: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sets.parent / "out"
    options = ["--tasks", "segmentation", "--sets", str(sets), "--out", str(out)]
    quick = ["--settings", "segmentation.pixels=32,segmentation.steps=2,segmentation.batch=4"]
    assert main(["evaluate", str(encoder), *options, *quick]) == 0
    assert "comparison.html" in capsys.readouterr().out
    assert (out / "comparison.md").read_text().count("segmentation") > 0
    assert main(["evaluate", str(encoder), "--tasks", "segmentation"]) == 2
    assert "give with --sets" in capsys.readouterr().err


def test_names_and_settings_that_there_are_not_are_quoted() -> None:
    assert chosen_tasks(None, sets=False) == (None, [])
    assert chosen_tasks(["knn", "depth"], sets=True) == (["knn"], ["depth"])
    assert chosen_tasks(["all"], sets=True) == (None, list(TASKS))
    with pytest.raises(ValueError, match="task 'segmentaton' is unknown"):
        chosen_tasks(["segmentaton"], sets=True)
    assert parsed_settings("depth.steps=5,depth.encoder=fine-tuned") == {"depth": {"steps": 5, "encoder": "fine-tuned"}}
    with pytest.raises(ValueError, match=r"setting 'steps=5' is not TASK.SETTING=VALUE"):
        parsed_settings("steps=5")
    with pytest.raises(ValueError, match="segmentation has no setting stps"):
        make_tasks(["segmentation"], settings={"segmentation": {"stps": 5}})
    with pytest.raises(ValueError, match="localisation has no fine-tuning protocol"):
        make_tasks(["localisation"], fine_tuned=True)
    assert make_tasks(["depth"], fine_tuned=True) == [Depth(encoder="fine-tuned")]
