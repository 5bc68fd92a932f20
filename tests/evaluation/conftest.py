"""A folder of pictures, a run trained on it for two steps, and a way to copy that run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from equicoherence.training import pretrain
from tests.small import picture_folder, small_config


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of labelled pictures."""
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="session")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that no test scores in place but with tasks of its own."""
    return pretrain(small_config(folder, max_steps=2), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return a function that copies the run, unscored, to a folder of the test."""

    def copy() -> Path:
        ignored = shutil.ignore_patterns("results*.json")
        return Path(shutil.copytree(run, tmp_path / "copied", ignore=ignored))

    return copy
