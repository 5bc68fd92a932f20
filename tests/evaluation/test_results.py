"""`results.json` over several evaluations: what is kept, what is dropped, what is refused."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from equicoherence.evaluation import TransformationConfig, evaluate
from equicoherence.evaluation.evaluate import results_folder
from equicoherence.evaluation.results import owed_tasks
from equicoherence.evaluation.tasks import LIMIT
from tests.small import picture_folder

QUICK = TransformationConfig(("rotation",), ("content",), ("linear",), train=30, test=9)


def _train_on(run):
    """Change the weights of a run, as further training does."""
    weights = load_file(run / "model.safetensors")
    save_file({name: t + 0.01 * (t.is_floating_point()) for name, t in weights.items()}, run / "model.safetensors")


def _values(results, task):
    return [row["value"] for row in results["rows"] if row["task"] == task]


def test_other_tasks_are_kept_with_their_settings_and_the_same_ones_replaced(copied):
    run = copied()
    first = evaluate(run, tasks=("transformation",), transformation=QUICK, controls=False)
    second = evaluate(run, tasks=("knn",), limit=10)
    assert second == json.loads((run / "results.json").read_text())
    assert list(second["tasks"]) == ["transformation", "knn"]
    assert _values(second, "transformation") == _values(first, "transformation")
    assert second["tasks"]["transformation"] == first["tasks"]["transformation"]
    assert set(second["seconds"]) == {"transformation", "knn", "knn random"}
    third = evaluate(run, tasks=("knn",), limit=20, controls=False)
    assert third["tasks"]["knn"]["settings"]["limit"] == 20
    assert len(_values(third, "knn")) == 5  # the constant and four representations: the rows of limit 10 are gone
    assert set(third["seconds"]) == {"transformation", "knn"}
    assert _values(third, "transformation") == _values(first, "transformation")


def test_scores_of_a_run_that_was_trained_on_are_dropped_and_a_line_says_so(copied, capsys):
    run = copied()
    before = evaluate(run, tasks=("transformation",), transformation=QUICK, controls=False)
    assert "other weights" not in capsys.readouterr().err
    _train_on(run)
    after = evaluate(run, tasks=("knn",), controls=False)
    assert "the scores of transformation are of other weights" in capsys.readouterr().err
    assert list(after["tasks"]) == ["knn"]
    assert {row["task"] for row in after["rows"]} == {"knn"}
    assert after["weights"] != before["weights"]


def test_other_data_and_another_size_are_refused_before_any_work(run, tmp_path, folder):
    def bare(size, data):
        return evaluate("timm:resnet18", data=data, size=size, random_weights=True, tasks=["knn"], out=tmp_path / "out")

    results = bare(32, str(folder))
    other = str(picture_folder(tmp_path / "other", per_class=4))
    with pytest.raises(ValueError, match=r"data '.*/data', these are for '.*/other'; give another --out"):
        bare(32, other)
    with pytest.raises(ValueError, match="size 32, these are for 48; give another --out"):
        bare(48, str(folder))
    with pytest.raises(ValueError, match="arch"):
        evaluate("timm:resnet10t", data=str(folder), size=32, random_weights=True, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results


def test_foreign_models_have_folders_of_their_own_for_data_size_and_random_weights():
    model = "timm:resnet18"
    asked = [(None, None, False), (None, None, True), ("a/flowers", None, True), ("a/flowers", 96, False)]
    folders = [results_folder(model, *arguments) for arguments in asked]
    assert len(set(folders)) == len(asked)
    assert folders[0] == Path("results/timm-resnet18")
    assert folders[2] == Path("results/timm-resnet18-flowers-random")
    assert results_folder("/weights/dino.pth", None, None, False) == Path("results/weights-dino.pth")


def test_it_says_what_was_scored_and_on_how_many_images(copied, folder):
    results = evaluate(copied(), tasks=("transformation", "knn"), transformation=QUICK, controls=False, limit=12)
    assert {k: results[k] for k in ("arch", "size", "random_weights")} == {
        "arch": "resnet18",
        "size": 32,
        "random_weights": False,
    }
    held = sum(1 for _ in folder.rglob("*.png")) - 38  # of 48 pictures the hash gives 38 to training
    assert results["tasks"]["transformation"]["images"] == {"train": 30, "val": min(9, held)}
    assert results["tasks"]["knn"]["images"] == {"train": 12, "val": min(12, held)}


def test_a_task_is_owed_where_its_settings_its_control_or_all_of_it_are_lacking(copied):
    results = evaluate(copied(), tasks=("knn", "transformation"), transformation=QUICK, controls=False)
    assert owed_tasks(results, ("knn", "transformation"), QUICK, LIMIT, controls=False) == []
    assert owed_tasks(results, ("knn", "linear"), QUICK, LIMIT, controls=False) == ["linear"]
    assert owed_tasks(results, ("knn", "transformation"), QUICK, 10, controls=False) == ["knn"]
    assert owed_tasks(results, ("knn",), QUICK, LIMIT, controls=True) == ["knn"]


def test_a_file_that_is_no_results_is_named(copied):
    run = copied()
    (run / "results.json").write_text("{")
    with pytest.raises(ValueError, match=r"results.json cannot be read"):
        evaluate(run, tasks=("knn",))
