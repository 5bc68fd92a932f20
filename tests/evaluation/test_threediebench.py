"""3DIEBench on any encoder, from rendered files to rows."""

import json

import pytest

from equicoherence.evaluation.pose_probes import PoseProbeConfig
from equicoherence.evaluation.threediebench import benchmark_3diebench
from equicoherence.report.poses import pose_markdown
from equicoherence.report.tables import summarise
from tests.rendered import rendered_set

PROBES = PoseProbeConfig(epochs=2, hidden=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return rendered_set(tmp_path_factory.mktemp("renders") / "set")


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    found = benchmark_3diebench("timm:resnet10t", data, out, config=PROBES, random_weights=True, size=32)
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
        benchmark_3diebench("timm:resnet10t", data, tmp_path, config=PROBES, random_weights=True, size=32, views=9)
