"""Benchmarks run what the package has now."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from tests.small import picture_folder

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_what_adapting_costs_is_measured_on_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("OMP_NUM_THREADS", "LIGHTLY_TRAIN_EVENTS_DISABLED"):  # which the benchmark sets
        monkeypatch.setenv(name, "1")
    from adapting import adapting_steps  # pyright: ignore[reportMissingImports]

    picture_folder(tmp_path / "train", 8)
    picture_folder(tmp_path / "val", 1)
    architecture, trained = "test_efficientnet", set[str]()
    save_file(timm.create_model(architecture).state_dict(), tmp_path / "weights.safetensors")
    for way in ("head", "last:1"):
        steps = adapting_steps(architecture, way, 32, Namespace(batch_size=4, precision="fp32"), tmp_path)
        next(steps)
        trained.add(steps.gi_frame.f_locals["config"].encoder.train)
        steps.close()
    assert trained == {"head", "last:1"}
