"""Experiments keep scores for as long as they would be scored the same way again."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from equicoherence.evaluation.model import SHARE, load_model
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.reporting.summary import summarise_scores
from equicoherence.reporting.tables import MISSING
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, pretrain
from tests.rendered import rendered_set

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


def test_scores_of_3diebench_are_kept_until_what_they_depend_on_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import threediebench_open as experiment  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(experiment, "VIEWS", 3)
    monkeypatch.setattr(experiment, "SOURCES", 1)
    monkeypatch.setattr(experiment, "PROBE_EPOCHS", 1)
    data = rendered_set(tmp_path / "set", paths=0)
    config = PretrainConfig(
        method=VICRegConfig(width=8),
        encoder=EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}),
        d=8,
        coherence=None,
        views=ViewsConfig(size=32, source=32, path="poses"),
        optim=OptimConfig(epochs=1, batch_size=80),
        data=str(data),
        threads=1,
    )
    run = pretrain(config, tmp_path / "run")
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


def test_training_views_of_the_traces_are_turned_and_come_with_their_angles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import view_traces as experiment  # pyright: ignore[reportMissingImports]

    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    views, angles = experiment.recipe_views((64, 32))(images, torch.Generator().manual_seed(0))
    assert views.shape == (4, 3, 32, 32)
    assert angles.shape == (4, 1)
    assert len(angles.unique()) == 4


def test_a_reading_is_kept_and_says_so_when_the_figures_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import pages  # pyright: ignore[reportMissingImports]

    page = tmp_path / "page.md"
    pages.write_page("# Figures\n\n1\n", page)
    assert page.read_text() == "# Figures\n\n1\n"
    with pytest.raises(ValueError, match="has no heading"):
        pages.mark_as_read(page)
    page.write_text(page.read_text() + "\n## Reading\n\nIt is one.\n")
    pages.mark_as_read(page)
    marked = page.read_text()
    pages.write_page("# Figures\n\n1\n", page)
    assert page.read_text() == marked
    pages.write_page("# Figures\n\n2\n", page)
    pages.write_page("# Figures\n\n2\n", page)
    assert page.read_text().count("Written about earlier figures") == 1
    assert "It is one." in page.read_text()
    pages.mark_as_read(page)
    assert "Written about earlier figures" not in page.read_text()


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_experiment_finds_what_it_imports(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    found = runpy.run_path(str(path), run_name="imported")
    assert found["__doc__"]


def test_what_stands_beside_features_leaves_them_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    from adapt_baselines import Beside  # pyright: ignore[reportMissingImports]

    model = load_model("timm:resnet18", random_weights=True, size=32)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = model.represent(images)[0]["backbone"]
        layers = model.encoder.every_layer(images)[1]  # type: ignore[operator]
        for chosen in ((), (2, 1)):
            found = Beside(model, chosen)(images)
            beside = found[:, features.shape[1] :]
            torch.testing.assert_close(found[:, : features.shape[1]], features)
            if chosen:
                wanted = torch.cat([layers[number].patches.mean(dim=1) for number in chosen], dim=1)
            else:
                wanted = F.adaptive_avg_pool2d(images, 16).flatten(1)
            torch.testing.assert_close(F.normalize(beside, dim=1), F.normalize(wanted, dim=1))
            torch.testing.assert_close(beside.norm(dim=1), SHARE * features.norm(dim=1))
