"""`compare`: what is done is kept, what is owed is scored, and seeds have floors of their own."""

import dataclasses
import json

import pytest
from safetensors.torch import load_file, save_file

from equicoherence.comparing import compare
from equicoherence.evaluation.fingerprint import floor_kind
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training import EncoderConfig, Interrupted, build_learner
from tests.evaluation.rows import QUICK, values_of
from tests.small import picture_folder, small_config
from tests.test_advice import stop_after

SCORED = {"tasks": ("transformation",), "settings": QUICK}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


def _scores(run):
    return json.loads((run / "scores.json").read_text())


def _floors(run):
    return values_of(_scores(run), control="random", target="rotation", metric="r2")


def test_a_run_is_scored_anew_for_a_floor_it_owes_for_other_settings_and_for_other_weights(data, tmp_path):
    config = small_config(data, max_steps=2)
    (run,) = compare({"ours": config}, tmp_path, controls=False, **SCORED)["ours"]
    alone = _scores(run)
    assert not _floors(run)
    compare({"ours": config}, tmp_path, **SCORED)
    assert _floors(run)
    assert values_of(_scores(run), control="") == values_of(alone)
    written = (run / "scores.json").stat().st_mtime_ns
    trained = (run / "model.safetensors").stat().st_mtime_ns
    for controls in (False, True):
        compare({"ours": config}, tmp_path, controls=controls, **SCORED)
        assert (run / "scores.json").stat().st_mtime_ns == written, "nothing is owed"
    more = {"transformation": {**QUICK["transformation"], "train": 31}}
    compare({"ours": config}, tmp_path, tasks=("transformation",), settings=more)
    assert {part["settings"]["train"] for part in _scores(run)["parts"].values()} == {31}
    weights = load_file(run / "model.safetensors")
    save_file({name: t + 0.01 * t.is_floating_point() for name, t in weights.items()}, run / "model.safetensors")
    compare({"ours": config}, tmp_path, **SCORED)
    assert _scores(run)["weights"] != alone["weights"]
    assert values_of(_scores(run), control="") != values_of(alone)
    assert (run / "model.safetensors").stat().st_mtime_ns > trained, "which this test wrote: it is not trained again"


def test_each_seed_and_each_data_set_has_a_floor_of_its_own_and_one_run_of_them_has_it(data, tmp_path):
    config = small_config(data, max_steps=1)
    other = dataclasses.replace(config, data=str(picture_folder(tmp_path / "other", per_class=22)))
    configs = {"ours": config, "plain": config.plain(), "elsewhere": other}
    runs = compare(configs, tmp_path / "runs", seeds=(0, 1), jobs=1, **SCORED)
    (one, two), (three, four), (five, six) = ([_floors(run) for run in runs[name]] for name in configs)
    assert [len(each) for each in (one, two, three, four, five, six)] == [1, 1, 0, 0, 1, 1]
    assert len({*one, *two, *five, *six}) == 4


def _frozen(config):
    learner, views = build_learner(config), config.views
    return FrozenModel("a", "a", learner.encoder, views.size, views.source, config=config, pool=learner.pool)


def test_a_floor_depends_on_all_that_its_scores_do(data):
    config = small_config(data)
    views = config.views
    others = [
        dataclasses.replace(config, encoder=EncoderConfig("resnet18", {"layers": [1, 1, 1, 1]})),
        dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, mean=(0.5, 0.5, 0.5))),
        dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, std=(0.5, 0.5, 0.5))),
        dataclasses.replace(config, views=dataclasses.replace(views, size=24)),
        dataclasses.replace(config, views=dataclasses.replace(views, source=40)),
        dataclasses.replace(config, seed=1),
    ]
    assert len({floor_kind(_frozen(each)) for each in (config, *others)}) == 7
    alike = [config.plain(), dataclasses.replace(config, method=VICRegConfig(width=12)), small_config(data, name="b")]
    assert {floor_kind(_frozen(each)) for each in alike} == {floor_kind(_frozen(config))}
    own = dataclasses.replace(config, method=DINOConfig(prototypes=20, hidden=12, bottleneck=6), coherence=None)
    assert floor_kind(_frozen(own)) == floor_kind(_frozen(config)), "both read the mean of the patches"


def test_tasks_are_checked_before_anything_is_trained(data, tmp_path, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(path.read_bytes())
    config = small_config(flat, max_steps=1)
    for names, quoted in ((("transformation", "knn"), "--tasks transformation"), (("knnn",), "'knnn' is unknown")):
        with pytest.raises(ValueError, match=quoted):
            compare({"ours": config}, tmp_path / "runs", tasks=names)
    with pytest.raises(ValueError, match="at least 1"):
        compare({"ours": config}, tmp_path / "runs", seeds=())
    assert not (tmp_path / "runs").exists()
    runs = compare({"ours": config}, tmp_path / "runs", settings=QUICK, controls=False)
    said = capsys.readouterr().err
    assert "knn needs labelled images" in said
    assert said.count("held out: ") == 1, "before all, not by training and scoring again"
    assert {part["task"] for part in _scores(runs["ours"][0])["parts"].values()} == {"transformation"}


def test_a_run_of_another_configuration_is_not_taken_for_this_one(data, tmp_path):
    config = small_config(data, max_steps=1)
    compare({"ours": config}, tmp_path, controls=False, **SCORED)
    with pytest.raises(ValueError, match=r"ours-seed0 was trained with another configuration \(.*; give another --out"):
        compare({"ours": dataclasses.replace(config, d=24)}, tmp_path, controls=False, **SCORED)


def test_the_command_refuses_what_cannot_be_before_it_trains(data, tmp_path, capsys):
    from equicoherence.cli import main

    arguments = ["compare", "simclr-tiny", "--data", str(data), "--out", str(tmp_path / "runs"), "--max-steps", "1"]
    assert main([*arguments, "--tasks", "knnn"]) == 2
    assert "'knnn' is unknown" in capsys.readouterr().err
    assert main([*arguments, "--seeds", "0"]) == 2
    assert "--seeds is 0" in capsys.readouterr().err
    assert main([*arguments, "--tasks", "knn,depth"]) == 2
    assert "error: depth: of data sets, which runs are not compared on here" in capsys.readouterr().err
    assert main([*arguments, "--jobs", "0"]) == 2
    assert capsys.readouterr().err == "error: --jobs is 0, but must be at least 1\n"  # no image was opened
    assert not (tmp_path / "runs").exists()
    assert main([*arguments, "--optim.batch-size", "5000", "--jobs", "1"]) == 2
    assert "do not fill one batch of 5000" in capsys.readouterr().err


def test_ctrl_c_says_that_the_same_command_goes_on_and_not_how_to_resume_one_run(data, tmp_path, monkeypatch):
    stop_after(1, monkeypatch)
    with pytest.raises(Interrupted) as stopped:
        compare({"ours": small_config(data, log_every=1)}, tmp_path, controls=False, jobs=1, **SCORED)
    assert str(stopped.value) == "stopped; what is done is kept: the same command goes on"
    assert len(compare({"ours": small_config(data, log_every=1)}, tmp_path, controls=False, **SCORED)["ours"]) == 1
