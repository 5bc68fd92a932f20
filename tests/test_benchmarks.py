"""Benchmarks run what the package has now."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from equicoherence.evaluation.fit import precision_of
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


def test_what_watching_costs_is_measured_on_steps_and_evaluations_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import watching  # pyright: ignore[reportMissingImports]

    for split, count in (("train", 60), ("val", 15)):
        picture_folder(tmp_path / "pictures" / split, count)
    architecture = "test_efficientnet"
    save_file(timm.create_model(architecture).state_dict(), tmp_path / "weights.safetensors")
    arguments = ["adapt-tiny", "--data", str(tmp_path / "pictures"), "--repeats", "2", "--steps", "1"]
    arguments += ["--model", f"{tmp_path / 'weights.safetensors'}@{architecture}", "--out", str(tmp_path / "results")]
    monkeypatch.setattr("sys.argv", ["watching.py", *arguments])
    watching.main()
    (page,) = (tmp_path / "results").glob("watching-*.md")
    assert str(tmp_path) not in page.read_text()
    (file,) = (tmp_path / "results").glob("watching-*.json")
    rows = json.loads(file.read_text())["rows"]
    assert [(row["recipe"].removeprefix("adapt-tiny, "), row["measured"], row["images"]) for row in rows] == [
        ("test_efficientnet, --encoder.train head", "--watch knn,rotation", 30),
        ("test_efficientnet, --encoder.train all", "--watch knn,rotation", 30),
        ("test_efficientnet, --encoder.train all", "--keep", 120),
    ]
    for row in rows:
        assert len(row["steps"]) == len(row["evaluations"]) == 2
        assert 0 < row["least"] <= row["share"] <= row["most"] < 1


def test_the_precision_in_which_the_suite_is_timed_ends_with_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from suite import encoders_in  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr("equicoherence.evaluation.fit.has_bfloat16", lambda device: True)
    cpu = torch.device("cpu")
    for precision, named in (("float32", "float32"), ("auto", "bfloat16")):
        with encoders_in(precision):
            assert precision_of(cpu) == named
        assert precision_of(cpu) == "bfloat16"
