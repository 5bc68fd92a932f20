"""The page of dense tasks of adapted encoders is made from what is kept, and of ways that are kept alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from equicoherence.evaluation import evaluate
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.store import Store
from equicoherence.evaluation.task import Row
from equicoherence.models.joined import SHARE
from equicoherence.reporting.tables import MISSING
from equicoherence.training import pretrain
from tests.small import picture_folder, small_config
from tests.test_adapt_experiment import run_in
from tests.test_experiments import EXPERIMENTS


def test_the_dense_page_has_a_row_for_each_reading_and_the_spread_of_seeds_and_is_made_from_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    from adapt_dense import dense_page, keep_dense  # pyright: ignore[reportMissingImports]
    from adapt_readings import Kept  # pyright: ignore[reportMissingImports]

    out, store = tmp_path / "out", tmp_path / "docs" / "adapt-dense"
    with pytest.raises(FileNotFoundError, match="holds no scores of dense tasks"):
        dense_page(store, {})

    def write(name: str, task: str, metric: str, data: str, values: dict[str, float]) -> None:
        about = {"model": str(out / name), "name": name, "seed": 0, "weights": "w", "size": 96, "layer": None}
        about |= {"arch": "vit", "build": "b", "random_weights": False, "config": None}
        names = ("pixels", "train", "test", "steps", "batch", "lr", "limit", "sequences", "pairs")
        settings = {**dict.fromkeys(names, 8), "folder": str(tmp_path / data)}
        part = {"task": task, "variant": "", "protocol": "frozen", "data": data, "control": "", "settings": settings}
        rows = [asdict(Row(metric, value, representation=read, floor=0.1)) for read, value in values.items()]
        part |= {"counts": {"val": 4}, "input": [96, 128], "metrics": {metric: True}, "probe_order": [], "rows": rows}
        part |= {"caption": "", "seconds": 1.0, "date": "2026-11-29"}
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        Store(folder, about).put(task, part, {})

    write("original-features-seed0", "segmentation", "miou", "camvid", {"": 0.2})
    write("head-z-equi-seed0", "segmentation", "miou", "camvid", {"": 0.3})
    write("head-z-equi-seed1", "segmentation", "miou", "camvid", {"": 0.5})
    write("head-z-equi-seed0", "video", "j_and_f", "davis_2016", {"": 0.25})
    write("head-z-equi-seed0", "correspondence", "mirrored", "renders", {"": 0.15})
    write("head-classes-seed0", "knn", "top1", "clothing", {"backbone": 0.4, "z_equi": 0.3, "joined": 0.45})
    write("last-layer-classes-seed0", "knn", "top1", "clothing", {"backbone": 0.35, "z_equi": 0.1, "joined": 0.2})
    keep_dense(out, store / "vit")
    assert not any(str(tmp_path) in file.read_text() for file in store.rglob("*.json"))
    with pytest.raises(FileNotFoundError):
        dense_page(store, {"vit": {"head": Kept("of other weights", frozen=True)}})
    assert "dense tasks of vit, head, are left out: it was adapted anew" in capfd.readouterr().err
    ways = {"last layer": Kept("w", frozen=False), "head": Kept("w", frozen=True), "all": Kept("v", frozen=False)}
    lines = dense_page(store, {"vit": ways}).splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    mirrored = "renders, wrong matches at the mirror place (lower is better)"
    assert table[0][2:] == ["CamVid, segmentation mIoU", "DAVIS-2016, video J&F", mirrored, "clothing, k-NN"]
    assert table[2:] == [
        ["a constant", MISSING, "0.100", "0.100", "0.100", "10.0 %"],
        ["original", "features", "0.200", MISSING, MISSING, "40.0 %"],
        ["no training: middle layers", "[features, that]", MISSING, MISSING, MISSING, MISSING],
        ["last layer", "features", MISSING, MISSING, MISSING, "35.0 %"],
        ["head", "[features, z_equi]", MISSING, MISSING, MISSING, "45.0 %"],
        ["head", "z_equi", "0.400 ±.141", "0.250", "0.150", "30.0 %"],
    ]
    assert "- video, frozen, on DAVIS-2016: 96 x 128 px, 4 val; pixels 8, sequences 8" in lines


def test_dense_tasks_are_scored_of_heads_and_classes_of_every_way_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures = picture_folder(tmp_path / "images", per_class=70)  # of which enough are held out to be watched
    pretrain(small_config(pictures, max_steps=1), tmp_path / "model")
    adapt = run_in(tmp_path, monkeypatch)
    import adapt_dense as experiment  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(experiment, "ON_SETS", {"homography-correspondence": {"pairs": 2, "tokens": 4}})
    monkeypatch.setattr(experiment, "KEPT", tmp_path / "docs" / "results" / "adapt")
    monkeypatch.setattr(experiment, "PAGE", tmp_path / "docs" / "results" / "adapt-dense.md")

    def run(*options: str) -> None:
        fixed = [str(tmp_path / "out" / "model"), "--sets", str(tmp_path / "sets"), "--images", str(pictures)]
        monkeypatch.setattr("sys.argv", ["adapt_dense.py", *fixed, *options])
        experiment.main()

    def refusal(*options: str) -> str:
        with pytest.raises(SystemExit):
            run(*options)
        return capfd.readouterr().err

    assert "nothing to show; first run adapt.py" in refusal()

    def rows() -> list[list[str]]:
        lines = [line for line in experiment.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    adapt("--only", "head", "all")
    picture_folder(tmp_path / "sets" / "photographs", per_class=12)
    assert "--only lora: " in (said := refusal("--only", "head", "lora"))
    assert "does not hold it as of today; of model there are head, all" in said
    run("--only", "all")
    constant, middle = ["a constant", MISSING], ["no training: middle layers", "[features, that]"]
    assert [row[:2] for row in rows()] == [constant, ["all", "features"]]
    run()
    ways = [["original", "features"], middle, ["head", "[features, z_equi]"], ["head", "z_equi"], ["all", "features"]]
    assert [row[:2] for row in rows()] == [constant, *ways]
    assert all(MISSING not in row for row in rows()[1:-1])
    _, read, matches, *classes = rows()[-1]
    assert (read, matches) == ("features", MISSING)
    model = load_model(tmp_path / "out" / "model" / "all")
    found = evaluate(model, tasks=["knn", "linear"], data=pictures, settings=experiment.ON_IMAGES, controls=False)
    scores = {
        part["task"]: row["value"]
        for part in found["parts"].values()
        for row in part["rows"]
        if (row["metric"], row["representation"]) == ("top1", "backbone")
    }
    assert classes[0] == f"{100 * scores['knn']:.1f} %"
    assert MISSING not in classes
    scores = tmp_path / "out" / "model" / "head" / "adapt" / "adapted" / "scores.json"
    scores.write_text(scores.read_text().replace('"weights": "', '"weights": "0'))
    assert "it is not the run that" in refusal()


def test_tokens_of_layers_stand_beside_those_of_the_output_on_the_grid_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    from adapt_baselines import LayersBeside  # pyright: ignore[reportMissingImports]

    model = load_model("timm:resnet18", random_weights=True, size=64)
    model.encoder.layers = (2, 1)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = model.encoder(images)
        found = LayersBeside(model)(images)
    output = F.interpolate(features.patches.transpose(1, 2).unflatten(2, (2, 2)), (8, 8), mode="bilinear")
    torch.testing.assert_close(found[:, :512], output)
    first, second = (part.transpose(1, 2).unflatten(2, grid) for part, grid in zip(features.tapped, ((8, 8), (16, 16))))
    wanted = torch.cat([first, F.interpolate(second, (8, 8), mode="bilinear", antialias=True)], dim=1)
    torch.testing.assert_close(F.normalize(found[:, 512:], dim=1), F.normalize(wanted, dim=1))
    torch.testing.assert_close(found[:, 512:].norm(dim=1), SHARE * output.norm(dim=1))


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
