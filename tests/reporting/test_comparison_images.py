"""Scores of tasks on images side by side: what is read and how, main figures, parameters, and settings."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from equicoherence.evaluation.task import Row
from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.tables import MISSING
from tests.reporting.html_page import Page
from tests.reporting.scored import part, scores, table_of, write_file


def turned(*values: float, parameter: str = "", target: str = "rotation") -> list[Row]:
    place = {"target": target, "border": "content", "representation": "z_equi", "probe": "mlp", "floor": -0.25}
    return [Row("r2", value, parameter=parameter, repeat=n, **place) for n, value in enumerate(values)]


def on_images(name: str = "a") -> dict[str, Any]:
    """Return scores of tasks on images, the transformation's with two repeats."""
    parts = [
        part(turned(0.7, 0.8), task="transformation", variant="rotation", protocol="frozen, probes of pairs"),
        part([Row("top1", 0.625, representation="backbone", floor=0.1)], settings={"limit": 20000}),
        part([Row("top1", 0.125, representation="backbone", floor=0.1)], control="random", settings={"limit": 20000}),
    ]
    return scores(parts, name)


def test_tasks_on_images_say_what_is_read_and_how(tmp_path: Path) -> None:
    page = Page(comparison([write_file(tmp_path / "a", on_images())], tmp_path / "out"))
    header, turn, knn = table_of(tmp_path / "out")
    assert header[4:] == ["reads", "a", "random weights", "constant"]
    about = ["transformation", "frozen, probes of pairs", "shapes", "rotation R2 (content) ↑", "z_equi (mlp)"]
    assert turn == [*about, "0.750", MISSING, "\N{MINUS SIGN}0.250"]
    place = ["k-NN", "frozen, 20 neighbours", "shapes", "top-1 ↑", "backbone"]
    assert knn == [*place, "**62.5 %**", "12.5 %", "10.0 %"]
    assert "20000" in page.text


def test_the_three_figures_of_an_angle_are_main_figures_one_below_the_other(tmp_path: Path) -> None:
    sides = [replace(row, metric="accuracy", floor=0.5) for row in turned(0.625, target="rotation, side")]
    rows = [*turned(0.25), *turned(0.75, target="rotation, absolute"), *sides]
    out = comparison([write_file(tmp_path / "a", scores([part(rows, task="transformation")]))], tmp_path / "out")
    found = [[row[3], row[5], row[-1]] for row in table_of(tmp_path / "out")[1:]]
    assert found == [
        ["rotation R2 (content) ↑", "0.250", "\N{MINUS SIGN}0.250"],
        ["absolute rotation R2 (content) ↑", "0.750", "\N{MINUS SIGN}0.250"],
        ["rotation sign accuracy (content) ↑", "0.625", "0.500"],
    ]
    (summary,) = re.findall(r'<section id="summary".*?</section>', out.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert all(value in summary for value in ("0.250", "0.750", "0.625"))


def test_each_main_figure_is_in_the_summary_and_each_parameter_below(tmp_path: Path) -> None:
    rows = [*turned(0.5, target="se2"), *turned(0.25, target="se2", parameter="angle"), *turned(0.75, target="new")]
    file = write_file(tmp_path / "a", scores([part(rows, task="transformation")]))
    text = comparison([file], tmp_path / "out").read_text(encoding="utf-8")
    (summary,) = re.findall(r'<section id="summary".*?</section>', text, flags=re.DOTALL)
    for shown, there in (("0.500", True), ("0.750", True), ("0.250</td>", False)):
        assert (f'<td class="number">{shown}' in summary) == there
    (folded,) = re.findall(r"<details><summary>One by one: 1 score .*?</details>", text)
    assert "angle" in folded


def test_settings_that_differ_in_all_variants_of_a_task_are_named_once(tmp_path: Path) -> None:
    folders = []
    for name, limit in (("a", 100), ("b", 200)):
        parts = [
            part(turned(0.5, target=target), task="transformation", variant=target, protocol="frozen",
                 settings={"train": limit, "transformations": [target]})
            for target in ("rotation", "se2")
        ]  # fmt: skip
        folders.append(write_file(tmp_path / name, scores(parts, name)))
    page = Page(comparison(folders, tmp_path / "out"))
    remark = "transformation, frozen on shapes: not all scores have the same settings: train 100 / 200"
    assert page.text.count(remark) == 1
    assert "have the same settings: transformations" not in page.text
    assert "['rotation'] / ['se2']" in page.text, "among the settings"
