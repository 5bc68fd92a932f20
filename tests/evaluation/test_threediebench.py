"""3DIEBench on any encoder, from rendered files to rows."""

import json
import shutil

import pytest
import timm
from safetensors.torch import save_file

from equicoherence.data import ThreeDIEBench
from equicoherence.evaluation.poses import benchmark as module
from equicoherence.evaluation.poses.benchmark import benchmark_3diebench, benchmark_models
from equicoherence.evaluation.poses.probes import PoseProbeConfig
from equicoherence.reporting.poses import pose_markdown
from equicoherence.reporting.tables import summarise
from equicoherence.training import ViewsConfig, pretrain
from tests.rendered import rendered_set
from tests.small import small_config

PROBES = PoseProbeConfig(epochs=2, hidden=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return rendered_set(tmp_path_factory.mktemp("renders") / "set")


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    found = benchmark_3diebench("timm:test_vit", data, out, config=PROBES, random_weights=True, size=32)
    assert json.loads((out / "3diebench.json").read_text())["rows"] == found["rows"]
    return found


def rows(results, **fields) -> list[dict]:
    return [row for row in results["rows"] if all(row.get(key, "") == value for key, value in fields.items())]


def test_a_constant_scores_nothing_per_dimension_and_something_by_one_scalar_mean(results):
    constant = {"task": "relative_rotation", "control": "constant"}
    (per_dimension,) = rows(results, metric="r2", parameter="mean", **constant)
    (scalar,) = rows(results, metric="r2_scalar_mean", **constant)
    assert per_dimension["value"] == pytest.approx(0, abs=0.05)
    assert scalar["value"] == pytest.approx(0.23, abs=0.1)


def test_every_measure_is_there_with_its_floor_for_the_model_and_for_random_weights(results):
    for control in ("", "random"):
        found = rows(results, control=control, representation="backbone")
        tasks = {row["task"] for row in found}
        assert tasks == {"relative_rotation", "color", "absolute_rotation", "class", "retrieval"}
        assert all("floor" in row and "chance" in row for row in found)
    assert results["objects"] == {"train": 80, "val": 20}
    assert results["settings"]["views"] == 3


def test_the_table_has_a_line_for_the_model_its_floor_and_the_constant(results):
    text = pose_markdown(summarise({"resnet": [results["rows"]]}), ["resnet"])
    firsts = [line.split(" | ")[1] for line in text.splitlines()[2:]]
    assert firsts[0] == "backbone"
    assert "backbone, random weights" in firsts
    assert "a constant backbone" in firsts
    assert len(set(firsts)) == len(firsts)


def test_more_views_than_any_object_has_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="has 9 views"):
        benchmark_3diebench("timm:test_vit", data, tmp_path, config=PROBES, random_weights=True, size=32, views=9)


def scored(models, data, out, **options):
    chosen = {"config": PoseProbeConfig(epochs=1, hidden=8), "controls": False, "random_weights": True, "size": 32}
    return benchmark_models(models, data, out, **{**chosen, **options})


def test_scores_of_the_same_weights_data_and_settings_are_kept(data, tmp_path):
    file = tmp_path / "timm-test_vit" / "3diebench.json"
    first = scored(["timm:test_vit"], data, tmp_path)["timm:test_vit"]
    file.write_text(json.dumps({**first, "name": "kept"}))
    assert scored(["timm:test_vit"], data, tmp_path)["timm:test_vit"]["name"] == "kept"
    file.write_text(json.dumps({**first, "name": "kept", "weights": "of an earlier step"}))
    assert scored(["timm:test_vit"], data, tmp_path)["timm:test_vit"]["name"] != "kept"


def test_scores_of_other_data_settings_size_or_model_are_left_alone(data, tmp_path):
    scored(["timm:test_vit"], data, tmp_path)
    file = tmp_path / "timm-test_vit" / "3diebench.json"
    before = file.read_bytes()
    changes = [{"size": 64}, {"sources": 2}, {"config": PoseProbeConfig(epochs=2, hidden=8)}]
    for change in changes:
        with pytest.raises(ValueError, match=r"3diebench.json holds scores for .* give another --out"):
            scored(["timm:test_vit"], data, tmp_path, **change)
    other = tmp_path / "other"
    shutil.copytree(data, other)
    with pytest.raises(ValueError, match="holds scores for data"):
        scored(["timm:test_vit"], other, tmp_path)
    found = json.loads(before)
    assert len(found["data_digest"]) == 32
    file.write_text(json.dumps({**found, "data_digest": "of an earlier rendering"}))
    with pytest.raises(ValueError, match="holds scores for data_digest 'of an earlier rendering'"):
        scored(["timm:test_vit"], data, tmp_path)
    file.write_text(json.dumps({**found, "weights": "others", "model": "elsewhere/timm-test_vit"}))
    with pytest.raises(ValueError, match="holds scores for model 'elsewhere"):
        scored(["timm:test_vit"], data, tmp_path)


def test_all_models_are_loaded_before_any_is_scored(data, tmp_path):
    with pytest.raises(FileNotFoundError, match="test_vat"):
        scored(["timm:test_vit", str(tmp_path / "test_vat")], data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="at least one"):
        scored([], data, tmp_path / "out")


def test_arch_and_size_are_for_the_models_that_take_them(data, tmp_path):
    views = ViewsConfig(size=32, source=32)
    run = str(pretrain(small_config(data, max_steps=1, coherence=None, views=views), tmp_path / "run"))
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), weights)
    models = [run, str(weights)]
    found = scored(models, data, tmp_path / "out", random_weights=False, arch="test_vit", size=48)
    assert [found[model]["size"] for model in models] == [32, 48]
    for option, model in (({"size": 48}, run), ({"arch": "test_vit", "size": None}, "timm:test_vit")):
        with pytest.raises(ValueError, match="applies to none of"):
            scored([model], data, tmp_path / "other", **{"random_weights": False, "size": None, **option})


def test_damaged_renders_are_counted_and_said(data, tmp_path, capsys):
    copy = tmp_path / "set"
    shutil.copytree(data, copy)
    image = ThreeDIEBench(copy, "train").name(4)
    (copy / image).write_bytes(b"no image")
    found = scored(["timm:test_vit"], copy, tmp_path / "out")["timm:test_vit"]
    assert found["bad_images"] == {"train": 1, "val": 0}
    assert "set: 1 damaged images" in capsys.readouterr().err


def test_retrieval_that_is_left_out_for_its_width_is_named(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "WIDEST", 63)  # test_vit has 64 channels
    found = scored(["timm:test_vit"], data, tmp_path, controls=True)["timm:test_vit"]
    assert not rows(found, task="retrieval", representation="backbone")
    assert capsys.readouterr().err.count("no retrieval for backbone (64 channels)") == 1
