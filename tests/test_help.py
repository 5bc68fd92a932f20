"""The help of a command: each option is described, and its default is that of the task."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from equicoherence.cli import main
from equicoherence.coherence import CoherenceConfig
from equicoherence.commands.adapt import AdaptOptions, CommonAdaptOptions
from equicoherence.commands.evaluate import Arguments
from equicoherence.commands.pretrain_options import CommonPretrainOptions, PretrainOptions
from equicoherence.evaluation.classification.task import LinearProbe, NearestNeighbours
from equicoherence.evaluation.transformation.task import TransformationRegression
from equicoherence.methods import METHODS
from equicoherence.training.config import PretrainConfig
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.trackers import TRACKERS
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig

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


OPTIONS = [
    *(Arguments, AdaptOptions, CommonAdaptOptions, PretrainOptions, CommonPretrainOptions),
    *(PretrainConfig, EncoderConfig, CoherenceConfig, OptimConfig, ViewsConfig, AugmentationConfig, *METHODS),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_description_says_what_its_option_is_and_not_only_of_what(options: type) -> None:
    arguments = (inspect.getdoc(options) or "").partition("Args:\n")[2]
    described = dict(re.findall(r"^ {4}(\w+): (.+)$", arguments, re.MULTILINE))
    assert bool(described) == bool(arguments)
    assert [f"{name}: {said}" for name, said in described.items() if re.match(r"(Of|As|In|At|Where a)\b", said)] == []


def test_what_track_says_of_its_extra_is_so() -> None:
    assert "The extra track installs the first three; mlflow is installed by itself." in str(PretrainConfig.__doc__)
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["track"]
    assert {package.partition(">")[0] for package in extra} == set(TRACKERS[:3])
    assert TRACKERS[3:] == ("mlflow",)
