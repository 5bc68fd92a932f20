"""The help of a command: each option is described, and its default is that of the task."""

from __future__ import annotations

import pytest

from equicoherence.cli import main
from equicoherence.evaluation.classification.task import LinearProbe, NearestNeighbours
from equicoherence.evaluation.transformation.task import TransformationRegression

NOISE = ("None", "(default: )", "[[")


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the help of a command in one line."""
    assert main([command, "--help"]) == 0
    return " ".join(capsys.readouterr().out.replace("│", "").split())


def test_evaluate_says_what_its_options_are_and_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown("evaluate", capsys)
    task = TransformationRegression
    assert "Setting of the task" not in page
    assert f"By default {', '.join(task.transformations[:-1])} and {task.transformations[-1]}." in page
    assert f"By default {' and '.join(task.borders)}." in page
    assert "linear (a ridge regression), mlp or attentive (reads tokens). By default all three." in page
    assert task.probes == ("linear", "mlp", "attentive")
    assert f"By default {task.train} and {task.test}." in page
    assert f"by default {task.repeats}." in page
    assert f"for knn and linear; by default {NearestNeighbours.limit}." in page
    assert NearestNeighbours.limit == LinearProbe.limit


@pytest.mark.parametrize(
    "command", ["evaluate", "embed", "export", "report", "compare", "quickstart", "render", "suite", "weights"]
)
def test_no_help_says_none_or_an_empty_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(command, capsys)
    assert [noise for noise in NOISE if noise in page] == []
