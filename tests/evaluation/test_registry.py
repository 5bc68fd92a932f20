"""The one list of tasks: found where they are declared, made by name, and light until they score."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import equicoherence
from equicoherence import downstream
from equicoherence.downstream.depth.task import Depth
from equicoherence.evaluation import registry
from equicoherence.evaluation.classification.task import NearestNeighbours
from equicoherence.evaluation.registry import all_tasks, make_tasks
from equicoherence.evaluation.task import Row, Task, main_rows
from equicoherence.evaluation.transformation.task import TransformationRegression
from equicoherence.sets import DECLARATIONS

ROOT = Path(str(equicoherence.__file__)).parent
ALONE = """
import sys, types
package = types.ModuleType("equicoherence")
package.__path__ = [{root!r}]
sys.modules["equicoherence"] = package
from equicoherence.evaluation.registry import all_tasks, make_tasks
make_tasks(list(all_tasks()), every=False)
print(*all_tasks())
print(*sorted({{"torch", "timm", "numpy", "PIL", "torchvision"}} & set(sys.modules)))
"""
NEW = '''
from dataclasses import dataclass
from equicoherence.evaluation.task import Row, Task, TaskScore


@dataclass(frozen=True)
class Answer(Task):
    """Knows the answer."""

    number: int = 42
    name = "answer"
    order = 99
    kind = "images"
    metrics = {"right": True}
    protocol = "nothing trained"

    def score(self, model, train, test, track):
        return TaskScore([Row("right", self.number)])
'''


def test_tasks_are_declared_and_made_without_torch_or_anything_heavy() -> None:
    """Else `equicoherence tasks` and the shell's completion would wait for them."""
    found = subprocess.run(
        [sys.executable, "-c", ALONE.format(root=str(ROOT))], capture_output=True, text=True, check=True
    )
    names, heavy = found.stdout.split("\n")[:2]
    assert names.split() == list(all_tasks())
    assert heavy == ""


def test_every_task_has_data_that_it_takes_and_a_name_of_its_own() -> None:
    kinds = {"given images", "given poses", *(declaration.kind for declaration in DECLARATIONS)}
    assert {task.kind for task in all_tasks().values()} <= kinds
    assert all(name == task.name and task.metrics for name, task in all_tasks().items())
    places = [task.order for task in all_tasks().values()]
    assert places == sorted(set(places)), "in an order that is not left to chance"


def test_a_task_is_found_where_it_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(all_tasks())
    (tmp_path / "answer").mkdir()
    (tmp_path / "answer" / "__init__.py").write_text("")
    (tmp_path / "answer" / "task.py").write_text(NEW)
    monkeypatch.setattr(downstream, "__path__", [*downstream.__path__, str(tmp_path)])
    all_tasks.cache_clear()
    try:
        assert list(all_tasks()) == [*before, "answer"]
        (task,) = make_tasks(["answer"], settings={"answer": {"number": "7"}})
        assert task.score(None, None, None, None).rows == [Row("right", 7)]  # type: ignore[arg-type]
        (tmp_path / "answer" / "task.py").write_text(NEW + "\n\nclass Other(Answer):\n    pass\n")
        del sys.modules["equicoherence.downstream.answer.task"]
        all_tasks.cache_clear()
        with pytest.raises(ValueError, match="answer: the name of two tasks"):
            all_tasks()
    finally:
        sys.modules.pop("equicoherence.downstream.answer.task", None)
        all_tasks.cache_clear()


def test_no_other_file_lists_the_tasks() -> None:
    names = "|".join(all_tasks())
    listed = re.compile(rf"(\"({names})\",\s*){{4}}")
    assert not [str(path) for path in ROOT.rglob("*.py") if listed.search(path.read_text())]


def test_heads_are_trained_by_one_loop() -> None:
    """So that divergence is noticed, and a rate falls, in all of them alike."""
    own = {"evaluation/fit.py", "evaluation/poses/probes.py"}  # the second trains all heads in one pass
    trains = re.compile(r"\.backward\(\)|\bAdamW?\(|\bSGD\(")
    found = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if trains.search(path.read_text())}
    assert {path for path in found if not path.startswith("training/")} == own


def test_names_and_settings_that_there_are_not_are_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ValueError,
        match=r"task 'segmentaton' is unknown; is it 'segmentation'. Choose one of transformation, knn, linear",
    ):
        make_tasks(["segmentaton"])
    with pytest.raises(ValueError, match="segmentation has no setting stps; it has batch, "):
        make_tasks(["segmentation"], settings={"segmentation": {"stps": 5}})
    with pytest.raises(ValueError, match="settings of depth, which is not among the tasks knn"):
        make_tasks(["knn"], settings={"depth": {"steps": 5}})
    with pytest.raises(ValueError, match="fine-tuning is given without a task"):
        make_tasks([], fine_tuned=True)
    for name in ("localisation", "knn"):
        with pytest.raises(ValueError, match=f"{name} has no fine-tuning protocol"):
            make_tasks([name], fine_tuned=True)
    assert make_tasks(["depth"], fine_tuned=True) == [Depth(encoder="fine-tuned")]
    assert make_tasks(["localisation", "depth"], fine_tuned=True, every=False) == [Depth(encoder="fine-tuned")]
    assert "localisation is left out" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"depth\.encoder is 'frozen', but --fine-tune is given"):
        make_tasks(["depth"], fine_tuned=True, settings={"depth": {"encoder": "frozen"}})


def test_values_are_those_of_their_settings() -> None:
    given = {"lr": "1e-3", "steps": "5", "train": 0, "tuned_lr": 1, "encoder": "fine-tuned"}
    (task,) = make_tasks(["depth"], settings={"depth": given})
    assert task == Depth(lr=0.001, steps=5, train=0, tuned_lr=1.0, encoder="fine-tuned")
    (task,) = make_tasks(
        ["transformation"], settings={"transformation": {"borders": "zeros", "transformations": "se2+blur"}}
    )
    assert task == TransformationRegression(transformations=("se2", "blur"), borders=("zeros",))
    assert make_tasks(["knn"], settings={"knn": {"k": "5"}}) == [NearestNeighbours(k=5)]


@pytest.mark.parametrize(
    ("name", "setting", "value", "why"),
    [
        ("depth", "steps", "0", r"depth: steps must be at least 1, got 0"),
        ("keypoints", "hidden", -3, r"keypoints: hidden must be at least 1, got -3"),
        ("depth", "train", "-1", r"depth: train must be at least 0, got -1"),
        ("depth", "steps", "5.5", r"depth\.steps is '5.5', but must be a whole number"),
        ("depth", "steps", True, r"depth: steps must be a whole number, got True"),
        ("depth", "lr", "fast", r"depth\.lr is 'fast', but must be a number"),
        ("depth", "lr", "inf", r"depth: lr must be finite and above 0, got inf"),
        ("depth", "encoder", "finetuned", r"encoder must be 'frozen' or 'fine-tuned', got 'finetuned'"),
        ("video", "setting", "mae", r"setting must be 'dino' or 'cropmae', got 'mae'"),
        ("knn", "temperature", 0, r"knn: temperature must be finite and above 0, got 0"),
        ("pose", "epochs", 0, r"pose: epochs must be at least 1, got 0"),
        ("transformation", "train", 1, r"transformation: train must be at least 2, got 1"),
        ("transformation", "transformations", "rotatoin", "rotatoin"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_quoted(name: str, setting: str, value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_tasks([name], settings={name: {setting: value}})


def test_a_task_whose_packages_are_not_installed_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    needed = r"detection needs torchmetrics and faster_coco_eval: pip install 'equicoherence\[coco\]'"
    with pytest.raises(ImportError, match=needed):
        make_tasks(["segmentation", "detection"])
    assert [task.name for task in make_tasks(["segmentation", "detection"], every=False)] == ["segmentation"]
    assert "detection is left out: it needs torchmetrics" in capsys.readouterr().err


def part(task: type[Task], *rows: Row) -> dict[str, object]:
    return {
        "metrics": task.metrics,
        "probe_order": task.probe_order,
        "rows": [{name: getattr(row, name) for name in Row.__dataclass_fields__ if name != "_"} for row in rows],
    }


def test_the_main_figure_is_of_no_parameter_of_the_first_metric_and_of_the_first_probe_there_is() -> None:
    rows = [
        Row("r2", 0.1, target="color", representation="backbone", probe="linear"),
        Row("r2", 0.2, target="color", representation="backbone", probe="mlp"),
        Row("r2", 0.3, target="color", representation="backbone", probe="mlp", repeat=1),
        Row("r2", 0.4, target="color", representation="backbone", probe="mlp", parameter="hue"),
        Row("r2_scalar_mean", 0.5, target="color", representation="backbone", probe="mlp"),
        Row("top1", 0.6, target="class", representation="backbone", probe="linear"),
        Row("r2", 0.7, target="color", representation="z_equi", probe="linear"),
    ]
    found = main_rows(part(all_tasks()["pose"], *rows))
    assert [row["value"] for row in found] == [0.2, 0.3, 0.6, 0.7]
    errors = [Row("delta1", 0.9), Row("rmse", 0.5), Row("rmse", 0.1, parameter="an image")]
    assert [row["value"] for row in main_rows(part(Depth, *errors))] == [0.5]
    views = [Row("mrr", value, representation="z", probe=probe) for value, probe in ((0.1, "identity"), (0.2, "own"))]
    assert [row["probe"] for row in main_rows(part(all_tasks()["retrieval"], *views))] == ["own"]
    borders = [
        Row("r2", value, target="se2", border=name, probe="attentive")
        for value, name in ((1.0, "zeros"), (0.0, "content"))
    ]
    assert [row["value"] for row in main_rows(part(TransformationRegression, *borders))] == [1.0, 0.0]
    assert main_rows(part(Depth)) == []
