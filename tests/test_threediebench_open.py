"""The benchmark of 3DIEBench on open meshes: what is scored anew, and how a run ends."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from equicoherence.evaluation.fingerprint import config_digest
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.reporting.summary import summarise_scores
from equicoherence.reporting.tables import MISSING
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, pretrain
from tests.rendered import rendered_set
from tests.rendering.shapes import write_folder
from tests.test_experiments import EXPERIMENTS


def of_poses(data: Path, epochs: int, batch_size: int) -> PretrainConfig:
    """Return the configuration of a very small encoder on pairs of views."""
    return PretrainConfig(
        method=VICRegConfig(width=8),
        encoder=EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}),
        d=8,
        coherence=None,
        views=ViewsConfig(size=32, source=32, path="poses"),
        optim=OptimConfig(epochs=epochs, batch_size=batch_size),
        data=str(data),
        threads=1,
    )


def test_scores_of_3diebench_are_kept_until_what_they_depend_on_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import threediebench_open as experiment  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(experiment, "VIEWS", 3)
    monkeypatch.setattr(experiment, "SOURCES", 1)
    monkeypatch.setattr(experiment, "PROBE_EPOCHS", 1)
    data = rendered_set(tmp_path / "set", paths=0)
    run = pretrain(of_poses(data, epochs=1, batch_size=80), tmp_path / "run")
    file = run / "scores.json"

    def scored_anew(controls: bool = False) -> bool:
        """Score the run, and say whether what was in its file, here marked, was not taken for it."""
        if file.is_file():
            file.write_text(json.dumps({**json.loads(file.read_text()), "name": "kept"}))
        found = experiment.score(run, data, controls)
        assert found == json.loads(file.read_text())
        return found["name"] != "kept"

    assert scored_anew()
    assert not scored_anew()
    for name, value in (("VIEWS", 2), ("SOURCES", 2), ("PROBE_EPOCHS", 2)):
        monkeypatch.setattr(experiment, name, value)
        assert scored_anew(), name
    earlier = json.loads(file.read_text())
    for part in earlier["parts"].values():
        part["settings"]["revision"] -= 1
    file.write_text(json.dumps(earlier))
    assert scored_anew(), "by an earlier revision of the probes"
    assert scored_anew(controls=True)
    assert not scored_anew(controls=True)
    assert not scored_anew()
    grid = experiment.pose_grid(summarise_scores({"VICReg": [json.loads(file.read_text())]}), ["VICReg"])
    features = [row[1] for row in grid.rows]
    assert features == [
        *("backbone", "z", "backbone, random weights"),
        *("a constant backbone", "a constant z", "a constant", "identity backbone", "identity z"),
    ]
    by_features = {row[1]: dict(zip(grid.header, row)) for row in grid.rows}
    for name, shown in (("z", "fitted map"), ("identity z", MISSING), ("a constant", MISSING)):
        assert by_features[name]["predictor"] == shown
    assert by_features["identity z"]["H@1"] == "0.000"
    assert by_features["a constant"]["MRR"] == by_features["a constant z"]["rotation R2"] == MISSING
    assert by_features["z"]["top-1"].endswith("%")

    name, scores = "VICReg + solid, K = 2", json.loads(file.read_text())
    given = Namespace(only=[name], seeds=[1], encoders=["resnet"], epochs=40)
    ((encoder, arm, seed, planned),) = experiment.planned(given, data)
    assert (encoder, arm, seed, planned.coherence.decoder) == ("resnet", name, 1, "solid")
    monkeypatch.setattr(experiment, "PAGE", tmp_path / "docs" / "page.md")
    beside = tmp_path / "docs" / "page" / f"{experiment.stem(encoder, name)}{seed}"
    experiment.keep_scores(experiment.suite(), scores, beside, name)
    with pytest.raises(SystemExit, match=r"no scores of today lie beside page\.md"):
        experiment.page(40, data)
    experiment.keep_scores(experiment.suite(), {**scores, "config": config_digest(planned)}, beside, name)
    page = experiment.page(40, data)
    assert f"| {name} | backbone |" in page
    assert "ResNet" in page
    assert "ViT" not in page


def test_arms_of_3diebench_end_well_where_the_page_is_left_and_the_page_alone_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import threediebench_open as experiment  # pyright: ignore[reportMissingImports]

    for name, value in {"VIEWS": 3, "PATHS": 1, "STATES": 1, "SIZE": 32, "SOURCES": 1, "PROBE_EPOCHS": 1}.items():
        monkeypatch.setattr(experiment, name, value)

    def arms(data: Path, epochs: int, encoder: str) -> dict[str, PretrainConfig]:
        return {name: replace(of_poses(data, epochs, batch_size=8), d=d) for name, d in (("A", 4), ("B", 8))}

    monkeypatch.setattr(experiment, "arms", arms)
    monkeypatch.setattr(experiment, "PAGE", tmp_path / "page.md")
    table = "# Figures\n\n| encoder | k-NN |\n| --- | --- |\n| VICReg | 1 |\n"
    experiment.PAGE.write_text(table)

    def run(*arguments: str) -> None:
        given = ["--out", str(tmp_path / "runs"), "--epochs", "1", "--encoders", "resnet", *arguments]
        monkeypatch.setattr("sys.argv", ["threediebench_open.py", *given])
        experiment.main()

    training = ["--meshes", str(write_folder(tmp_path / "meshes")), "--only", "A", "B"]
    run(*training)
    said = capsys.readouterr()
    assert said.err.count("page.md is left as it was: it has") == 1
    assert "scores of this run are kept beside it" in said.err
    assert said.out.count("page.md") == 0
    kept = {file.parent.name for file in (tmp_path / "page").glob("*/scores.json")}
    assert kept == {"resnet-a-seed0", "resnet-b-seed0"}
    with pytest.raises(experiment.RowsLost):
        run("--page")
    assert experiment.PAGE.read_text() == table
    experiment.PAGE.unlink()
    run("--page")
    assert "| B | backbone |" in experiment.PAGE.read_text()
    assert str(experiment.PAGE) in capsys.readouterr().out
