"""`compare`: what is scored anew, floors by seed, and tables that say where their numbers come from."""

import dataclasses
import json

import pytest
from safetensors.torch import load_file, save_file

from equicoherence.arms import owed_scores
from equicoherence.cli import main
from equicoherence.comparing import compare, floor_of, score_markdown, score_rows
from equicoherence.evaluation import TransformationConfig
from equicoherence.methods import DINOConfig, VICRegConfig
from equicoherence.training import EncoderConfig
from tests.small import picture_folder, small_config

QUICK = TransformationConfig(("rotation",), ("content",), ("linear",), train=30, test=9)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


def _results(run):
    return json.loads((run / "results.json").read_text())


def _floors(run):
    return [row["value"] for row in _results(run)["rows"] if row["control"] == "random"]


def test_a_run_is_scored_anew_for_a_floor_it_owes_and_for_other_weights(data, tmp_path):
    config = small_config(data, max_steps=2)
    arguments = {"tasks": ("transformation",), "transformation": QUICK}
    asked = (str(data), ("transformation",), QUICK)
    (run,) = compare({"ours": config}, tmp_path, controls=False, **arguments)["ours"]
    assert not owed_scores(run, *asked)
    assert owed_scores(run, *asked, controls=True)
    assert not _floors(run)
    compare({"ours": config}, tmp_path, **arguments)
    assert not owed_scores(run, *asked, controls=True)
    assert _floors(run)
    written = (run / "results.json").stat().st_mtime_ns
    compare({"ours": config}, tmp_path, controls=False, **arguments)
    assert (run / "results.json").stat().st_mtime_ns == written
    weights = load_file(run / "model.safetensors")
    save_file({name: t + 0.01 * t.is_floating_point() for name, t in weights.items()}, run / "model.safetensors")
    assert owed_scores(run, *asked)
    compare({"ours": config}, tmp_path, **arguments)
    assert not owed_scores(run, *asked, controls=True)


def test_each_seed_has_a_floor_of_its_own_and_one_run_of_a_seed_has_it(data, tmp_path):
    config = small_config(data, max_steps=1)
    arguments = {"seeds": (0, 1), "tasks": ("transformation",), "transformation": QUICK}
    runs = compare({"ours": config, "plain": config.plain()}, tmp_path, **arguments)
    (one, two), (three, four) = ([_floors(run) for run in runs[name]] for name in ("ours", "plain"))
    assert len(one) == len(two) == 1
    assert one != two
    assert three == four == []


def test_a_floor_depends_on_all_that_its_scores_do(data):
    config = small_config(data)
    views = config.views
    others = [
        dataclasses.replace(config, encoder=EncoderConfig("resnet18", {})),
        dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, mean=(0.5, 0.5, 0.5))),
        dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, std=(0.5, 0.5, 0.5))),
        dataclasses.replace(config, views=dataclasses.replace(views, size=24)),
        dataclasses.replace(config, views=dataclasses.replace(views, source=40)),
        dataclasses.replace(config, method=DINOConfig(), coherence=None),  # reads the encoder's own features
        dataclasses.replace(config, data="objects"),
        dataclasses.replace(config, seed=1),
    ]
    assert len({floor_of(c) for c in (config, *others)}) == 9
    assert floor_of(config) == floor_of(config.plain()) == floor_of(dataclasses.replace(config, method=VICRegConfig()))


def test_tasks_are_checked_before_anything_is_trained(data, tmp_path, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(path.read_bytes())
    arguments = ["compare", "simclr-tiny", "--data", str(flat), "--out", str(tmp_path / "runs"), "--max-steps", "1"]
    assert main([*arguments, "--tasks", "transformation,knn"]) == 2
    assert "--tasks transformation" in capsys.readouterr().err
    assert main([*arguments, "--seeds", "0"]) == 2
    assert "--seeds is 0" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ValueError, match="at least 1"):
        compare({"ours": small_config(flat)}, tmp_path / "runs", seeds=())
    runs = compare({"ours": small_config(flat, max_steps=1)}, tmp_path / "runs", transformation=QUICK, controls=False)
    assert "knn needs labelled images" in capsys.readouterr().err
    assert list(_results(runs["ours"][0])["tasks"]) == ["transformation"]


def test_a_spread_has_the_unit_of_its_mean():
    blank = {"transformation": "", "border": "", "parameter": "", "control": "", "n": 2, "representation": "backbone"}
    knn = {**blank, "name": "a", "task": "knn", "metric": "top1", "probe": "", "mean": 0.5, "std": 0.0707}
    r2 = {**blank, "name": "a", "task": "transformation", "metric": "r2", "probe": "mlp", "mean": 0.5, "std": 0.0707}
    r2 |= {"transformation": "rotation", "border": "content"}
    _, rows = score_rows([knn, r2], ["a"])
    assert {row[2] for row in rows} == {"50.0 % ±7.1", "0.500 ±.071"}


def test_the_markdown_table_says_every_date_machine_and_version(tmp_path):
    runs = []
    for seed, (date, machine, torch) in enumerate((("2026-01-02", "old", "2.11"), ("2026-01-01", "new", "2.12"))):
        said = {"date": date, "machine": {"processor": machine}, "versions": {"torch": torch, "timm": "1.0"}}
        rows = [{"task": "knn", "metric": "top1", "representation": "backbone", "control": "", "value": 0.5}]
        (tmp_path / str(seed)).mkdir()
        runs.append(tmp_path / str(seed))
        results = {"seed": seed, "data": "shapes", "rows": rows, "tasks": {"knn": said}, **said}
        (runs[-1] / "results.json").write_text(json.dumps(results))
    line = score_markdown({"a": runs}).splitlines()[0]
    assert line == (
        "2026-01-01 / 2026-01-02, processor old / new, torch 2.11 / 2.12, timm 1.0; seeds 0, 1; data shapes."
    )
