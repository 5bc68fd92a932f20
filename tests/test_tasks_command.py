"""`equicoherence tasks` says what the registry and the declarations do: nothing is listed twice."""

from __future__ import annotations

import inspect
import shlex

import pytest

from equicoherence.cli import main
from equicoherence.commands.evaluation_plan import parsed_settings
from equicoherence.evaluation.registry import all_tasks, make_tasks, reads_data
from equicoherence.evaluation.task import settings_of
from equicoherence.sets import DECLARATIONS

TASKS = all_tasks()


def test_the_table_names_all_tasks_metrics_and_kinds_of_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    words = capsys.readouterr().out.replace(",", " ").replace(";", " ").split()
    metrics = {metric for task in TASKS.values() for metric in task.metrics}
    kinds = {word for task in TASKS.values() for word in task.kind.removeprefix("given ").split()}
    assert {*TASKS, *metrics, *kinds, "--data", "--sets"} <= set(words)


def test_a_data_set_stands_beside_the_tasks_of_its_kind_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for name, task in TASKS.items():
        assert main(["tasks", name]) == 0
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("data sets: "))
        found = line.removeprefix("data sets: ").split(", ")
        if reads_data(task):
            assert found[-1] == "given with --data"
        else:
            assert found == [declaration.name for declaration in DECLARATIONS if declaration.kind == task.kind]


@pytest.mark.parametrize("name", TASKS)
def test_a_page_has_what_the_task_says_its_settings_and_an_example_that_changes_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", name]) == 0
    page = capsys.readouterr().out
    (task,) = make_tasks([name])
    assert str(inspect.getdoc(TASKS[name])) in page
    lines = [line.split() for line in page.splitlines()]
    for setting in settings_of(TASKS[name]):
        (line,) = (line for line in lines if line[:1] == [setting] and line[-2:] == ["by", "default"])
        value = getattr(task, setting)
        empty = "none" if setting == "also" else "all"
        assert line[-3] == ("+".join(value) or empty if isinstance(value, tuple) else str(value))
    example = shlex.split(page.splitlines()[-1])
    assert ("--data" in example) == reads_data(task)
    assert ("--sets" in example) != reads_data(task)
    assert make_tasks([name], settings=parsed_settings(example[example.index("--settings") + 1])) == [task]


def test_choices_types_and_needs_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "detection"]) == 0
    page = capsys.readouterr().out
    assert "frozen or fine-tuned, frozen by default" in page
    assert "integer, 224 by default" in page
    assert "number, 0.001 by default" in page
    assert "needs: pip install 'equicoherence[coco]'" in page
    assert main(["tasks", "homography"]) == 0
    assert "measures: lower is better: corner_error" in capsys.readouterr().out
    assert main(["tasks", "transformation"]) == 0
    page = capsys.readouterr().out
    assert "a list with + between, content+zeros by default" in page
    assert "a list with + between, all by default" in page


def test_an_unknown_task_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "segmentatoin"]) == 2
    assert (
        "'segmentatoin' is unknown; is it 'segmentation'? Choose one of transformation, knn" in capsys.readouterr().err
    )
