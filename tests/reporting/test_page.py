"""The page as a whole: what it shows, and that it is self-contained and safe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equicoherence.evaluation.store import read_scores
from equicoherence.evaluation.task import Row
from equicoherence.reporting.bar_plot import CHARACTER
from equicoherence.reporting.curve_plot import Curve, curves
from equicoherence.reporting.page import report
from equicoherence.reporting.summary import flat_rows
from tests.reporting.html_page import Page
from tests.reporting.scored import part, scores, write_file

WriteRun = Callable[..., Path]  # the fixture of conftest.py


def test_one_run_gives_a_page_in_its_own_folder(write_run: WriteRun) -> None:
    run = write_run()
    out = report([run])
    page = Page(out)
    assert out == run / "report.html"
    assert sorted(file.name for file in run.iterdir() if file.name.startswith(".")) == []  # nothing left beside it
    assert "missing" not in page.text
    (scene,) = page.data()
    assert len(scene["v1"]) == len(scene["states"]) == 5
    assert scene["times"] == [0, 0.25, 0.5, 0.75, 1]
    assert "angle" in page.text
    assert "px at 224" in page.text
    for shown in (
        "reconstruction",
        "learning rate",
        "effective rank, z_equi",
        "R² of an MLP probe",
        "torch",
        "2026-03-14",
    ):
        assert shown in page.text


def test_nothing_is_fetched_and_nothing_but_its_own_script_runs(write_run: WriteRun) -> None:
    page = Page(report([write_run()]))
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object"}
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("data:" if tag == "image" else "#")
    assert all(page.alternatives())  # each picture has its words
    assert page.runs_its_own_script_alone()


def test_each_link_of_the_contents_leads_somewhere(write_run: WriteRun) -> None:
    page = Page(report([write_run(parts=())]))
    anchors = {attributes.get("id") for _, attributes in page.tags}
    links = {(attributes["href"] or "")[1:] for tag, attributes in page.tags if tag == "a"}
    assert len(links) > 5
    assert links <= anchors


def test_three_recipes_with_two_seeds_are_compared_by_name(write_run: WriteRun) -> None:
    names = {"vicreg-tiny": 0.7, "plain": 0.4, "simclr-tiny": 0.6}
    runs = [
        write_run(f"{n}-{s}", name=n, seed=s, level=v, config={"note": n}) for n, v in names.items() for s in (0, 1)
    ]
    page = Page(report(runs, runs[0].parent / "compared" / "all.html"))
    assert "6 runs of 3 recipes" in page.text
    assert "2 runs" in page.text
    (chart,) = [alt for alt in page.alternatives() if "representation z_equi, border content" in alt]
    found = dict(re.findall(r"([\w-]+): rotation ([\d.]+), translation", chart))
    assert found.keys() == names.keys()
    values = [_rows(run, "rotation", "z_equi", "content", "mlp") for run in runs[:2]]
    assert float(found["vicreg-tiny"]) == pytest.approx(np.mean([np.mean(v) for v in values]), abs=5e-4)
    assert float(found["vicreg-tiny"]) > float(found["simclr-tiny"]) > float(found["plain"])
    assert "differ in more than the seed" not in page.text


def _rows(run: Path, target: str, representation: str, border: str, probe: str) -> list[float]:
    wanted = {"target": target, "representation": representation, "border": border, "probe": probe, "control": ""}
    rows = flat_rows(read_scores(run / "scores.json"))
    return [row["value"] for row in rows if wanted.items() <= row.items()]


def test_the_sign_accuracy_is_a_row_and_no_bar_for_it_is_no_r2(write_run: WriteRun) -> None:
    run = write_run(parts=())
    place = {"border": "content", "representation": "backbone", "probe": "mlp"}
    rows = [
        Row("r2", 0.125, target="rotation", floor=0.0, **place),
        Row("r2", 0.625, target="rotation, absolute", floor=0.0, **place),
        Row("accuracy", 0.875, target="rotation, side", floor=0.5, **place),
    ]
    write_file(run, scores([part(rows, task="transformation")]))
    out = report([run])
    page = Page(out)
    (chart,) = [alt for alt in page.alternatives() if alt.startswith("Bar chart of R²")]
    assert "rotation 0.125, absolute rotation 0.625." in chart
    assert "R² (for signs: accuracy) of an MLP probe" in page.text
    assert ">rotation sign</td><td" in out.read_text(encoding="utf-8")
    assert "0.875" in page.text


def test_a_transformation_that_is_in_no_list_is_a_bar_and_a_row(write_run: WriteRun) -> None:
    run = write_run(parts=())
    place = {"target": "a path of my own", "border": "content", "representation": "backbone", "floor": -0.25}
    write_file(run, scores([part([Row("r2", 0.625, **place, probe="mlp")], task="transformation")]))
    page = Page(report([run]))
    (chart,) = [alt for alt in page.alternatives() if alt.startswith("Bar chart of R²")]
    assert "a path of my own 0.625" in chart
    assert "R² of an MLP probe" in page.text
    assert "\N{MINUS SIGN}0.250" in page.text


def test_tasks_of_all_other_kinds_stand_in_one_table(write_run: WriteRun) -> None:
    run = write_run(parts=())
    pose = [Row("mrr", 0.375, representation="z", probe="own"), Row("pre", 0.5, representation="z", probe="own")]
    metrics = {"mrr": True, "pre": False}
    write_file(run, scores([part(pose, task="retrieval", metrics=metrics), part([Row("top1", 0.5, floor=0.125)])]))
    text = report([run]).read_text()
    (others,) = re.findall(r'<section id="others".*?</section>', text, flags=re.DOTALL)
    for shown in ("k-NN", "top-1", "50.0 %", "12.5 %", "Retrieval", "MRR", "0.375"):
        assert shown in others
    assert "PRE" not in others, "the main figures alone"


def test_the_leak_free_border_comes_first(write_run: WriteRun) -> None:
    charts = [
        alt
        for alt in Page(report([write_run(parts=("scores.json",))])).alternatives()
        if alt.startswith("Bar chart of R²")
    ]
    order = [re.findall(r"representation (\w+), border (\w+)", chart)[0] for chart in charts]
    assert order == [(r, b) for r in ("backbone", "z_inv", "z_equi") for b in ("content", "zeros")]


def test_fields_that_differ_are_marked_and_unlike_seeds_are_named(write_run: WriteRun) -> None:
    runs = [
        write_run(f"run{i}", seed=i, parts=(), config={"optimizer": {"rate": rate}})
        for i, rate in enumerate((0.1, 0.2))
    ]
    out = report(runs)
    marked = re.findall(r'<tr class="marked"><th scope="row">([^<]*)', out.read_text())
    assert marked == ["seed", "optimizer.rate"]
    assert "differ in more than the seed: optimizer.rate" in Page(out).text


def test_a_run_given_twice_is_one_seed(write_run: WriteRun) -> None:
    run = write_run(parts=("scores.json",))
    page = Page(report([run, run / ".." / run.name]))
    assert "One run" in page.text
    assert "2 runs" not in page.text


TASK = {"coherence": {"decoder": "render"}, "views": {"invariant": "base"}}


@pytest.mark.parametrize(
    "config",
    [TASK | {"coherence": {"decoder": "render+oracle"}}, TASK | {"method": {"kind": "SIE"}}],
    ids=["the decoder", "the method"],
)
def test_the_page_says_whose_training_received_the_parameters_of_g(
    write_run: WriteRun, config: dict[str, Any], tmp_path: Path
) -> None:
    said = "received the parameters of g"
    assert said not in report([write_run("a", name="free", config=TASK)]).read_text()
    runs = [write_run("b", name="free", config=TASK), write_run("c", name="with labels", config=config)]
    assert f"with labels {said}" in report(runs, tmp_path / "both.html").read_text()


def test_the_page_says_whose_loss_reads_the_view_after_g(write_run: WriteRun, tmp_path: Path) -> None:
    said = "the method's loss reads v1 and v2"
    path = TASK | {"views": {"path": "se2", "invariant": "path"}}
    runs = [write_run("a", name="outside", config=TASK), write_run("b", name="inside", config=path)]
    assert said not in report(runs[:1]).read_text()
    assert f"In inside {said}" in report(runs, tmp_path / "both.html").read_text()


def test_a_single_small_value_has_room_for_its_numbers_and_a_whole_step() -> None:
    drawn = str(curves([Curve(np.array([5.0]), np.array([4.77e-5]), 0)], "learning rate"))
    below = re.findall(r'text-anchor="middle"[^>]*>([^<]*)<', drawn)
    assert below == ["5", "step"]
    beside = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="end"[^>]*>([^<]*)<', drawn)
    assert beside
    assert all(float(x) >= CHARACTER * len(text) for x, text in beside)


def test_hostile_values_stay_text(write_run: WriteRun) -> None:
    attack = "\"'><script>alert(1)</script>$x^{`<b>`}$"
    run = write_run(name=attack, config={attack: attack, "method": {"name": attack}})
    about = dict.fromkeys(("variant", "protocol", "data", "caption"), attack)
    place = {"target": attack, "border": attack, "representation": attack, "probe": attack}
    parts = [
        part([Row(attack, 0.5, **place, parameter=attack)], task=attack, machine={attack: attack}, **about),
        part([Row("r2", 0.5, **place), Row("r2", 0.5, **place, parameter="\ud800")], task="transformation", **about),
    ]
    parts[0]["settings"] = {attack: attack}
    write_file(run, scores(parts, attack))
    lines = (run / "metrics.jsonl").read_text() + json.dumps({"step": 1, attack: 1.0}) + "\n"
    (run / "metrics.jsonl").write_text(lines)
    with np.load(run / "samples.npz") as arrays:
        np.savez(run / "samples.npz", **dict(arrays) | {"theta_names": np.array([attack, "x"])})  # type: ignore[arg-type]
    second = write_run("second", parts=("scores.json",), config={"other": attack})
    page = Page(report([run, second]))
    assert page.runs_its_own_script_alone()
    assert not [attributes for tag, attributes in page.tags if tag == "b" and attributes]
    assert sum(tag == "b" for tag, _ in page.tags) == 2, "the numbers of theta, and none of a value"
    assert page.text.count(attack) > 8


def test_the_same_runs_give_the_same_bytes(write_run: WriteRun) -> None:
    run = write_run(lines=5, parts=("metrics.jsonl", "samples.npz"))
    assert report([run]).read_bytes() == report([run], run / "again.html").read_bytes()
