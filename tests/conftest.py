"""What all tests share: two torch threads, a cache folder, a run of two steps, and the way to real data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from equicoherence.training import pretrain
from tests.small import picture_folder, small_config


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("EQUICOHERENCE_CACHE"):
            patch.setenv("EQUICOHERENCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    """Begin each test with two threads: a run sets torch's number to its own."""
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Find a file or folder of the real data, or skip the test where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("EQUICOHERENCE_DATA") or beside)

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"no real data at {path}: set EQUICOHERENCE_DATA to the folder that holds it")
        return path

    return find


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
        ignored = shutil.ignore_patterns("scores.json", "pictures")
        return Path(shutil.copytree(run, tmp_path / "copied", ignore=ignored))

    return copy
